from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import ndimage

from sirr_jax.errors import UserError
from sirr_jax.synthesis.raindrops import REDUCTIONS, difference_mask


def literal(rainy, clean, threshold, reduce, dilate):
    height, width, _ = rainy.shape
    mask = np.zeros((height, width))
    for y in range(height):
        for x in range(width):
            a, b = [int(v) for v in rainy[y, x]], [int(v) for v in clean[y, x]]
            differences = [abs(p - q) for p, q in zip(a, b, strict=True)]
            if reduce == "max":
                mask[y, x] = max(differences) >= threshold
            elif reduce == "sum":
                mask[y, x] = sum(differences) >= threshold
            else:
                mask[y, x] = abs(sum(a) - sum(b)) > 3 * threshold
    if not dilate:
        return mask
    dilated = np.zeros_like(mask)
    for y in range(height):
        for x in range(width):
            for dy, dx in ((0, 0), (1, 0), (-1, 0), (0, 1), (0, -1)):
                if 0 <= y + dy < height and 0 <= x + dx < width and mask[y + dy, x + dx]:
                    dilated[y, x] = 1
    return dilated


IMAGES = arrays.arrays(np.uint8, (2, 5, 7, 3), elements=st.integers(0, 255))


@given(IMAGES, st.integers(1, 120), st.sampled_from(REDUCTIONS), st.booleans())
def test_difference_mask_equals_a_literal_loop(pair, threshold, reduce, dilate):
    mask = difference_mask(pair[0], pair[1], threshold=threshold, reduce=reduce, dilate=dilate)
    assert isinstance(mask, np.ndarray)
    assert mask.dtype == np.float32
    np.testing.assert_array_equal(mask[..., 0], literal(pair[0], pair[1], threshold, reduce, dilate))


@pytest.mark.parametrize("reduce", REDUCTIONS)
def test_jax_equals_numpy_on_a_batch(reduce):
    pair = np.random.default_rng(0).integers(0, 256, (2, 4, 6, 8, 3), np.uint8)
    on_device = jax.jit(lambda a, b: difference_mask(a, b, reduce=reduce, threshold=90))(*jnp.asarray(pair))
    assert isinstance(on_device, jax.Array)
    np.testing.assert_array_equal(on_device, difference_mask(*pair, reduce=reduce, threshold=90))


def test_thresholds_are_inclusive_as_in_the_originals():
    clean = np.zeros((1, 3, 3), np.uint8)
    rainy = np.array([[[29, 29, 29], [30, 30, 30], [31, 31, 31]]], np.uint8)
    masks = {r: difference_mask(rainy, clean, reduce=r, dilate=False)[0, :, 0].tolist() for r in REDUCTIONS}
    assert masks == {"max": [0, 1, 1], "mean_abs_diff_of_means": [0, 0, 1], "sum": [1, 1, 1]}


def test_dilation_grows_a_pixel_to_a_cross_within_the_image():
    clean = np.zeros((4, 4, 3), np.uint8)
    rainy = clean.copy()
    rainy[0, 1] = 255
    np.testing.assert_array_equal(
        difference_mask(rainy, clean)[..., 0], [[1, 1, 1, 0], [0, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    )


@given(IMAGES, st.integers(60, 250))
def test_closing_and_opening_match_scipy(pair, threshold):
    plain = difference_mask(pair[0], pair[1], threshold=threshold, dilate=False)[..., 0] > 0
    ellipse = np.ones((5, 5), bool)
    ellipse[[0, 0, 0, 0, 4, 4, 4, 4], [0, 1, 3, 4, 0, 1, 3, 4]] = False
    closed = ndimage.binary_erosion(ndimage.binary_dilation(plain, ellipse), ellipse, border_value=1)
    opened = ndimage.binary_dilation(ndimage.binary_erosion(closed, ellipse, border_value=1), ellipse)
    mask = difference_mask(pair[0], pair[1], threshold=threshold, close_open=True, dilate=False)
    np.testing.assert_array_equal(mask[..., 0] > 0, opened)


def test_closing_fills_holes_and_opening_removes_specks():
    clean = np.zeros((24, 24, 3), np.uint8)
    rainy = clean.copy()
    rainy[6:18, 6:18] = 200
    disc = difference_mask(rainy, clean, close_open=True, dilate=False)
    rainy[11, 11] = 0
    rainy[2, 2] = rainy[21, 20] = 255
    mask = difference_mask(rainy, clean, close_open=True, dilate=False)
    np.testing.assert_array_equal(mask, disc)
    assert disc[8:16, 8:16].all()


def test_invalid_arguments_raise():
    image = np.zeros((4, 4, 3), np.uint8)
    with pytest.raises(UserError, match="reduce is 'mean'"):
        difference_mask(image, image, reduce="mean")
    with pytest.raises(UserError, match="give a pair of one shape"):
        difference_mask(image, image[:2])
