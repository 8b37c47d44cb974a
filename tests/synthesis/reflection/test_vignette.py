from __future__ import annotations

import jax
import numpy as np
import pytest
import scipy.stats

from sirr_jax.errors import UserError
from sirr_jax.synthesis.reflection.vignette import (
    MASK_SIDE,
    draw_offset,
    smooth_profile,
    vignette,
    vignette_profile,
)


def literal_mask():
    """The published mask of 560 x 560 pixels."""
    interval = 7.0 / 560
    mass = np.diff(scipy.stats.norm.cdf(np.linspace(-3 - interval / 2, 3 + interval / 2, 561)))
    mask = np.sqrt(np.outer(mass, mass))
    return mask / mask.max()


def test_vignette_profile_equals_published_values():
    mask = np.outer(vignette_profile(), vignette_profile())
    assert round(mask[0, 0], 6) == 0.011080
    assert round(mask[0, 280], 6) == 0.105263
    assert mask[280, 280] == 1
    assert round(mask[140, 140], 6) == 0.325754
    assert abs(mask.mean() - 0.324706) < 1e-6
    np.testing.assert_allclose(mask, literal_mask(), rtol=1e-9)
    x = np.linspace(-3, 3, MASK_SIDE)
    np.testing.assert_allclose(mask, np.exp(-(x[:, None] ** 2 + x[None] ** 2) / 4), atol=2e-3)
    smooth = smooth_profile(np.arange(MASK_SIDE, dtype=np.float32) + 0.5)
    np.testing.assert_allclose(smooth, vignette_profile(), atol=2e-3)


def test_vignette_is_a_crop_pixel_by_pixel():
    got = vignette(np.array([17, 230], np.int32), 20, 31, longer_side=None)
    np.testing.assert_allclose(got, literal_mask()[17:37, 230:261], atol=2e-7)


@pytest.mark.parametrize(("height", "width"), [(600, 900), (20, 30)])
def test_vignette_is_stretched_over_images_of_any_size(height, width):
    got = np.asarray(vignette(np.array([100, 40], np.int32), height, width, longer_side=240))
    scale = 240 / width
    y = 100 + (np.arange(height) + 0.5) * scale - 0.5
    x = 40 + (np.arange(width) + 0.5) * scale - 0.5
    middle, step = (MASK_SIDE - 1) / 2, 6.0125 / MASK_SIDE
    expected = np.exp(-(((y[:, None] - middle) * step) ** 2 + ((x[None] - middle) * step) ** 2) / 4)
    assert got.shape == (height, width)
    np.testing.assert_allclose(got, expected, atol=2e-4)


@pytest.mark.parametrize(
    ("size", "longer_side", "largest"),
    [((256, 320), None, (293, 229)), ((549, 100), None, (0, 449)), ((2000, 1000), 256, (293, 421))],
)
def test_offsets_are_whole_pixels_within_the_published_limits(size, longer_side, largest):
    share = np.stack([np.linspace(0, 1, 3000, endpoint=False, dtype=np.float32)] * 2, axis=1)
    offset = np.asarray(jax.vmap(lambda s: draw_offset(s, *size, longer_side=longer_side))(share))
    assert offset.dtype == np.int32
    for axis in (0, 1):
        np.testing.assert_array_equal(np.unique(offset[:, axis]), np.arange(largest[axis] + 1))


def test_image_larger_than_the_mask_raises():
    with pytest.raises(UserError, match=r"550 x 100 pixels does not fit .* 549 a side: set vignette_side"):
        draw_offset(np.zeros(2, np.float32), 550, 100, longer_side=None)
