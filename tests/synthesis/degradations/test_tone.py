"""Brightness, contrast and saturation: types 16, 17 and 18."""

from __future__ import annotations

import numpy as np
import pytest

from sirr_jax.synthesis.degradations import degrade

# All values, in all channels.
RAMP = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, -1)


def degraded(image, kind, level):
    return degrade(image, kind, level=level, generator=np.random.default_rng(0))


@pytest.mark.parametrize(("level", "shift"), [(1, 15), (2, 30), (3, 45), (4, 60)])
def test_mean_shift_saturates(level, shift):
    np.testing.assert_array_equal(degraded(RAMP, "mean_shift", level), np.minimum(RAMP.astype(int) + shift, 255))


@pytest.mark.parametrize(("level", "factor"), [(1, 0.85), (2, 0.7), (3, 0.55), (4, 0.4)])
def test_contrast_scales_every_sample(level, factor):
    assert np.abs(degraded(RAMP, "contrast", level) - factor * RAMP).max() <= 0.5 + 1e-9


@pytest.mark.parametrize(("level", "factor"), [(1, 0.4), (2, 0.0), (3, -0.4), (4, -0.8)])
def test_saturation_scales_the_color_differences(level, factor):
    from skimage.color import rgb2ycbcr, ycbcr2rgb

    image = np.random.default_rng(0).integers(0, 256, (40, 30, 3), dtype=np.uint8)
    planes = rgb2ycbcr(image)
    planes[..., 1:] = 127.5 + factor * (planes[..., 1:] - 127.5)
    expected = np.clip(255 * ycbcr2rgb(planes), 0, 255)
    assert np.abs(degraded(image, "saturation", level) - expected).max() < 0.51
    # Gray is not exactly at 0.5 on the studio scale.
    assert np.abs(degraded(RAMP, "saturation", level).astype(int) - RAMP).max() <= 2
