from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from sirr_jax.errors import UserError
from sirr_jax.synthesis.reflection import WenOptions
from tests.helpers.synthesis_layers import each, layers, literal_blur, make

FOCUSED, DEFOCUSED, GHOSTING = range(3)


def literal_formed(reflection, parameters):
    """The published steps, in double precision, with the drawn parameters."""
    if parameters["kind"] == FOCUSED:
        return reflection
    if parameters["kind"] == DEFOCUSED:
        sigma = float(parameters["sigma"])
        return literal_blur(reflection, sigma, np.ceil(2 * sigma - 1e-5), mode="reflect")
    (x, y), strength = parameters["shift"], float(parameters["ghosting_strength"])
    height, width, _ = reflection.shape
    doubled = strength * reflection[y:, x:] + (1 - strength) * reflection[: height - y, : width - x]
    planes = [Image.fromarray(np.ascontiguousarray(doubled[..., c], np.float32)) for c in range(3)]
    return np.stack([np.asarray(p.resize((width, height), Image.Resampling.BILINEAR)) for p in planes], axis=-1)


@pytest.fixture(scope="module")
def pair():
    return layers(0, 32, 45)


@pytest.fixture(scope="module")
def mixtures(pair):
    return make("wen", range(240), pair, WenOptions(sigma=(2.0, 3.0), sigma_count=5, shift=(3, 9)))


def test_mixture_equals_the_published_steps_for_all_kinds(pair, mixtures):
    transmission, reflection = pair
    kinds = mixtures.parameters["kind"]
    assert np.all(np.abs(np.bincount(kinds) / 240 - 1 / 3) < 5 * np.sqrt(2 / 9 / 240))
    for mixture in list(each(mixtures))[:24]:
        parameters = mixture.parameters
        np.testing.assert_allclose(parameters["formed"], literal_formed(reflection, parameters), atol=2e-5)
        mask = parameters["mask"].astype(np.float64)
        np.testing.assert_allclose(mixture.reflection, mask * parameters["formed"], atol=1e-6)
        np.testing.assert_allclose(mixture.mixture, mask * parameters["formed"] + (1 - mask) * transmission, atol=1e-6)
    assert set(kinds[:24]) == {FOCUSED, DEFOCUSED, GHOSTING}


def test_parameters_of_a_kind_are_neutral_for_the_others(mixtures):
    parameters, kinds = mixtures.parameters, mixtures.parameters["kind"]
    assert set(parameters["sigma"][kinds == DEFOCUSED]) == {2.0, 2.25, 2.5, 2.75, 3.0}
    assert set(parameters["sigma"][kinds != DEFOCUSED]) == {0.0}
    assert set(parameters["shift"][kinds == GHOSTING].ravel()) == set(range(3, 9))
    assert set(parameters["shift"][kinds != GHOSTING].ravel()) == {0}
    assert 0.5 <= parameters["ghosting_strength"][kinds == GHOSTING].min() < 0.6
    assert set(parameters["ghosting_strength"][kinds != GHOSTING]) == {1.0}


def test_random_mask_is_smooth_within_its_limits_and_nearly_neutral(mixtures):
    mask = mixtures.parameters["mask"]
    assert mask.min() >= 0.05
    assert mask.max() <= 0.6
    for axis in (1, 2):
        assert np.quantile(np.abs(np.diff(mask, axis=axis)), 0.999) < 0.1
    assert mask.std(axis=(1, 2, 3)).mean() > 0.05
    across_channels = np.corrcoef(mask[..., 0].ravel(), mask[..., 1].ravel())[0, 1]
    assert 0.6 < across_channels < 0.95


def test_mask_argument(pair):
    options = WenOptions(kind_probabilities=(1.0, 0.0, 0.0), sigma=(0.5, 0.5), sigma_count=1, shift=(0, 1))
    mask = np.random.default_rng(1).uniform(size=(32, 45, 3)).astype(np.float32)
    mixtures = make("wen", [0], pair, options, mask=mask)
    np.testing.assert_array_equal(mixtures.parameters["mask"][0], mask)
    np.testing.assert_allclose(mixtures.mixture[0], mask * pair[1] + (1 - mask) * pair[0], atol=1e-6)
    with pytest.raises(UserError, match=r"mask is float32 of shape \(32, 44, 3\)"):
        make("wen", [0], pair, options, mask=mask[:, 1:])


def test_image_smaller_than_the_shift_raises(pair):
    with pytest.raises(UserError, match="32 x 45 pixels cannot be shifted by up to 39"):
        make("wen", [0], pair)
