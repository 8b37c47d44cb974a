"""Blur and chromatic aberration: types 8 and 23."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sirr_jax.synthesis.degradations import degrade
from sirr_jax.synthesis.degradations.blur import gaussian_filter


def reference(image, size, sigma):
    """Convolution of an image padded by NumPy with a two-dimensional kernel."""
    x = np.arange(size) - size // 2
    kernel = np.exp(-(x[:, None] ** 2 + x**2) / (2 * sigma**2))
    padded = np.pad(image.astype(float), [(size // 2, size // 2)] * 2 + [(0, 0)], mode="symmetric")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (size, size), axis=(0, 1))
    return np.einsum("hwcij,ij->hwc", windows, kernel / kernel.sum())


def degraded(image, kind, level):
    return degrade(image, kind, level=level, generator=np.random.default_rng(0))


@pytest.mark.parametrize(("level", "size", "sigma"), [(1, 7, 7 / 6), (2, 15, 2.5), (3, 39, 6.5), (4, 91, 91 / 6)])
def test_gaussian_blur_is_truncated_and_mirrors_the_image(level, size, sigma):
    image = np.random.default_rng(0).integers(0, 256, (33, 21, 3), dtype=np.uint8)
    blurred = degraded(image, "gaussian_blur", level)
    assert np.abs(blurred - reference(image, size, sigma)).max() <= 0.5 + 1e-9


@given(st.integers(1, 9), st.integers(1, 9), st.sampled_from([3, 7, 15]))
def test_gaussian_filter_mirrors_small_images_repeatedly(height, width, size):
    image = np.random.default_rng(height + 10 * width).random((height, width, 2))
    np.testing.assert_allclose(gaussian_filter(image, size=size, sigma=2.0), reference(image, size, 2.0), atol=1e-12)


@pytest.mark.parametrize(("level", "red", "green"), [(1, 1, 0), (2, 5, 2), (3, 9, 4), (4, 13, 6)])
def test_chromatic_aberration_shifts_red_and_green_right(level, red, green):
    image = np.zeros((5, 60, 3), np.uint8)
    image[:, 30] = 200
    shifted = degraded(image, "chromatic_aberration", level)
    columns = shifted.max(axis=0)
    assert columns.argmax(axis=0).tolist() == [30 + red, 30 + green, 30]
    # exp(-2) to the left and to the right of 1, normalized.
    side = np.exp(-2) / (1 + 2 * np.exp(-2))
    around = [side, 1 - 2 * side, side]
    for channel, right in enumerate((red, green, 0)):
        expected = np.zeros(60)
        expected[29 + right : 32 + right] = around
        assert np.abs(columns[:, channel] - 200 * expected).max() <= 0.5


@pytest.mark.parametrize("width", [1, 4, 13, 14, 40])
@pytest.mark.parametrize(("level", "shifts"), [(1, (1, 0, 0)), (2, (5, 2, 0)), (3, (9, 4, 0)), (4, (13, 6, 0))])
def test_chromatic_aberration_keeps_uncovered_columns(level, shifts, width):
    image = np.random.default_rng(0).integers(0, 256, (7, width, 3), dtype=np.uint8)
    shifted = image.copy()
    for channel, right in enumerate(shifts):
        for column in range(right, width):
            shifted[:, column, channel] = image[:, column - right, channel]
    result = degraded(image, "chromatic_aberration", level)
    assert np.abs(result - reference(shifted, 3, 0.5)).max() <= 0.5 + 1e-9
