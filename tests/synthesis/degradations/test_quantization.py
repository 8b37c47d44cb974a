"""Quantization of values and colors: types 7 and 22."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sirr_jax.errors import UserError
from sirr_jax.synthesis.degradations import degrade
from sirr_jax.synthesis.degradations.quantization import multi_otsu


def smooth(height=120, width=111, seed=0):
    """A photograph-like image with soft colors and all values."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width] / width
    waves = [np.sin(6 * (a * x + b * y) + c) for a, b, c in random.uniform(-1, 1, (3, 3))]
    return (127.5 + 90 * np.stack(waves, -1) + random.normal(0, 12, (height, width, 3))).clip(0, 255).astype(np.uint8)


def variance_between(histogram, thresholds):
    """Variance between classes, by its definition; -1 where a class is empty."""
    value = np.arange(len(histogram))
    mean = np.average(value, weights=histogram)
    total = 0.0
    for low, high in itertools.pairwise([-1, *thresholds, len(histogram) - 1]):
        part = histogram[low + 1 : high + 1]
        if part.sum() == 0:
            return -1.0
        total += part.sum() / np.sum(histogram) * (np.average(value[low + 1 : high + 1], weights=part) - mean) ** 2
    return total


@given(st.lists(st.integers(0, 20), min_size=5, max_size=11), st.integers(1, 4))
def test_multi_otsu_finds_the_optimal_thresholds(counts, count):
    histogram = np.array(counts)
    if np.count_nonzero(histogram) <= count:
        with pytest.raises(UserError, match=f"{count} thresholds for {np.count_nonzero(histogram)} different values"):
            multi_otsu(histogram, count)
        return
    thresholds = multi_otsu(histogram, count)
    assert len(thresholds) == count
    assert np.all(np.diff(thresholds) > 0)
    assert np.all(histogram[thresholds] > 0)
    best = max(variance_between(histogram, chosen) for chosen in itertools.combinations(range(len(counts) - 1), count))
    assert variance_between(histogram, thresholds) == pytest.approx(best, rel=1e-12)


@pytest.mark.parametrize("count", [1, 2])
def test_multi_otsu_matches_scikit_image(count):
    from skimage.filters import threshold_multiotsu

    image = smooth()
    histogram = np.bincount(image.ravel(), minlength=256)
    expected = threshold_multiotsu(classes=count + 1, hist=(histogram, np.arange(256)))
    np.testing.assert_array_equal(multi_otsu(histogram, count), expected)


@pytest.mark.parametrize(("level", "count"), [(1, 9), (2, 7), (3, 5), (4, 3)])
def test_quantization_noise_values(level, count):
    image = smooth()
    quantized = degrade(image, "quantization_noise", level=level, generator=np.random.default_rng(0))
    thresholds = multi_otsu(np.bincount(image.ravel(), minlength=256), count)
    np.testing.assert_array_equal(np.unique(quantized), [0, *thresholds[1:], 255])
    assert np.all(quantized[image <= thresholds[0]] == 0)
    assert np.all(quantized[image > thresholds[-1]] == 255)
    for low, high in itertools.pairwise(thresholds):
        assert np.all(quantized[(image > low) & (image <= high)] == high)


def test_image_of_few_values_is_unchanged():
    image = np.array([10, 50, 200], np.uint8)[np.random.default_rng(0).integers(0, 3, (9, 7, 3))]
    np.testing.assert_array_equal(
        degrade(image, "quantization_noise", level=4, generator=np.random.default_rng(0)), image
    )


@pytest.mark.parametrize(("level", "colors"), [(1, 64), (2, 32), (3, 16), (4, 8), (5, 4)])
def test_color_quantization_has_the_published_number_of_colors_and_dithers(level, colors):
    image = smooth()
    quantized = degrade(image, "color_quantization", level=level, generator=np.random.default_rng(0))
    palette = np.unique(quantized.reshape(-1, 3), axis=0)
    assert 0.9 * colors <= len(palette) <= colors
    # Dithering often uses another color than the nearest one, so that the mean over a region is right.
    pixels = image.reshape(-1, 3).astype(int)
    nearest = palette[np.argmin(np.sum((pixels[:, None] - palette) ** 2, axis=-1), axis=1)]
    assert np.mean(np.any(nearest != quantized.reshape(-1, 3), axis=-1)) > 0.1


def test_flat_image_is_unchanged():
    image = np.full((8, 9, 3), (12, 200, 77), np.uint8)
    for kind in ("quantization_noise", "color_quantization"):
        np.testing.assert_array_equal(degrade(image, kind, level=1, generator=np.random.default_rng(0)), image)
