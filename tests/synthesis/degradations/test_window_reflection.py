from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from sirr_jax.errors import UserError
from sirr_jax.synthesis.degradations import window_reflection
from sirr_jax.synthesis.degradations.window_reflection import FORMS
from sirr_jax.synthesis.reflection import CeilnetOptions, ZhangOptions, ceilnet, zhang


def photograph(seed, shape):
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3), np.uint8)


def literal_blur(image, sigma):
    """Blur with 11 x 11 taps and zero padding."""
    height, width, _ = image.shape
    weights = [[np.exp(-(y**2 + x**2) / (2 * sigma**2)) for x in range(-5, 6)] for y in range(-5, 6)]
    weights = np.array(weights) / np.sum(weights)
    padded = np.pad(image.astype(float), ((5, 5), (5, 5), (0, 0)))
    blurred = np.zeros(image.shape)
    for y in range(height):
        for x in range(width):
            blurred[y, x] = np.tensordot(weights, padded[y : y + 11, x : x + 11], 2)
    return blurred


def test_cityscapes_form_equals_a_literal_sum():
    background, other = photograph(0, (14, 17)), photograph(1, (14, 17))
    for seed in range(4):
        window = window_reflection(background, other, np.random.default_rng(seed))
        assert 2.0 <= window.parameters["sigma"] <= 5.0
        added = 0.3 * literal_blur(other, window.parameters["sigma"])
        np.testing.assert_allclose(window.image, 0.7 * background + added, atol=0.51)
        np.testing.assert_allclose(window.reflection, added, atol=0.51)


def test_reflection_is_resized_to_the_background():
    background = np.zeros((60, 120, 3), np.uint8)
    other = np.zeros((100, 50, 3), np.uint8)
    other[:50] = 200
    other[:, 25:, 0] = 0
    for form in FORMS:
        reflection = window_reflection(background, other, np.random.default_rng(0), form=form).reflection
        assert reflection.shape == (60, 120, 3)
        # The bright half stays at the top and its red half at the left, away from borders and edges.
        assert reflection[5:20, 20:50].min() > 20
        assert reflection[40:55].max() < 10
        assert reflection[5:20, 75:100, 0].max() < 10


def test_cityscapes_form_stays_within_the_measured_bounds():
    """Measured on the published sample: M / B is not below 0.65, and M - 0.7 B within [0, 76.5]."""
    background, other = photograph(0, (40, 40)), photograph(1, (30, 50))
    window = window_reflection(background, other, np.random.default_rng(0)).image.astype(float)
    rest = window - 0.7 * background
    assert rest.min() >= -0.51
    assert rest.max() <= 76.5 + 0.51


@pytest.mark.parametrize("form", ["zhang", "ceil"])
def test_zhang_and_ceil_forms_equal_the_mixing_models(form):
    background, other = photograph(0, (24, 30)), photograph(1, (24, 30))
    window = window_reflection(background, other, np.random.default_rng(5), form=form)
    key = jax.random.key(int(np.random.default_rng(5).integers(2**31)))
    layers = [jnp.asarray(layer, jnp.float32) / 255.0 for layer in (background, other)]
    if form == "zhang":
        expected = zhang.synthesize(key, *layers, options=ZhangOptions(vignette_side=224))
    else:
        expected = ceilnet.synthesize(key, *layers, options=CeilnetOptions())
    np.testing.assert_allclose(window.image, 255.0 * expected.mixture, atol=0.51)
    np.testing.assert_allclose(window.reflection, 255.0 * expected.reflection, atol=0.51)
    assert window.parameters.keys() == expected.parameters.keys()


def test_zhang_form_accepts_images_larger_than_the_vignette():
    background, other = photograph(0, (20, 800)), photograph(1, (20, 20))
    window = window_reflection(background, other, np.random.default_rng(0), form="zhang")
    assert window.image.shape == (20, 800, 3)


SIDES = st.integers(1, 30)


@settings(max_examples=30)
@given(SIDES, SIDES, SIDES, SIDES, st.integers(0, 2**32))
def test_any_two_sizes_are_accepted(height, width, rows, columns, seed):
    background, other = photograph(seed, (height, width)), photograph(seed + 1, (rows, columns))
    before = background.copy(), other.copy()
    window = window_reflection(background, other, np.random.default_rng(seed))
    assert window.image.shape == window.reflection.shape == background.shape
    assert window.image.dtype == window.reflection.dtype == np.uint8
    np.testing.assert_array_equal(background, before[0])
    np.testing.assert_array_equal(other, before[1])
    again = window_reflection(background, other, np.random.default_rng(seed))
    np.testing.assert_array_equal(window.image, again.image)


def test_seed_determines_every_form():
    background = np.asarray(Image.fromarray(photograph(0, (4, 5))).resize((30, 24)))
    other = photograph(1, (24, 30))
    for form in FORMS:
        window = [window_reflection(background, other, np.random.default_rng(seed), form=form) for seed in (0, 0, 1)]
        np.testing.assert_array_equal(window[0].image, window[1].image)
        assert (window[0].image != window[2].image).any()


def test_invalid_arguments_raise():
    image = photograph(0, (8, 8))
    with pytest.raises(UserError, match="form is 'zang': use one of cityscapes, zhang, ceil"):
        window_reflection(image, image, np.random.default_rng(0), form="zang")
    for wrong in (image[..., 0], image / 255.0):
        for pair in ((image, wrong), (wrong, image)):
            with pytest.raises(UserError, match="the image"):
                window_reflection(*pair, np.random.default_rng(0))
