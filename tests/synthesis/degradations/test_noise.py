"""Types 1, 2, 5, 6, 9 and 19 against the constants of the specification."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from sirr_jax.errors import UserError
from sirr_jax.synthesis.degradations import degrade
from sirr_jax.synthesis.degradations.ycbcr import rgb_to_ycbcr, ycbcr_to_rgb

GRAY = np.full((256, 250, 3), 128, np.uint8)
GAUSSIAN = [(1, 8.06), (2, 18.03), (3, 25.50), (4, 57.02)]


def degraded(image, kind, level, seed=0):
    return degrade(image, kind, level=level, generator=np.random.default_rng(seed))


def clipped_deviation(sigma, mean=128):
    """Standard deviation of N(mean, sigma) rounded and clipped to [0, 255], by a sum over a fine grid."""
    x = np.linspace(-8 * sigma, 8 * sigma, 400_001)
    weight = np.exp(-0.5 * (x / sigma) ** 2)
    value = np.clip(np.floor(mean + x + 0.5), 0, 255)
    average = np.sum(weight * value) / weight.sum()
    return np.sqrt(np.sum(weight * (value - average) ** 2) / weight.sum())


@pytest.mark.parametrize("kind", ["gaussian_noise", "high_frequency_noise"])
@pytest.mark.parametrize(("level", "sigma"), GAUSSIAN)
def test_gaussian_noise_variance(kind, level, sigma):
    noise = degraded(GRAY, kind, level).astype(float) - 128
    # 192000 samples: the sampling error of a standard deviation is 0.16 %.
    np.testing.assert_allclose(noise.std(axis=(0, 1)), clipped_deviation(sigma), rtol=0.012)
    np.testing.assert_allclose(noise.mean(axis=(0, 1)), 0, atol=5 * sigma / 256)
    correlation = np.corrcoef(noise.reshape(-1, 3).T) - np.eye(3)
    assert np.abs(correlation).max() < 0.02
    assert abs(np.mean(noise[1:] * noise[:-1])) < 0.02 * noise.var()


def test_high_frequency_noise_filters_only_the_highest_frequency():
    y, x = np.mgrid[:128, :130]
    board = np.where((x + y) % 2, 100, 156).astype(np.uint8)[..., None].repeat(3, -1)
    flattened = degraded(board, "high_frequency_noise", 1)
    gray = degraded(np.full_like(board, 128), "gaussian_noise", 1)
    assert np.abs(flattened.astype(int) - gray).max() <= 1
    stripes = np.where(x % 2, 100, 156).astype(np.uint8)[..., None].repeat(3, -1)
    filtered, plain = (degraded(stripes, kind, 1).astype(int) for kind in ("high_frequency_noise", "gaussian_noise"))
    assert np.abs(filtered - plain).max() <= 1


@pytest.mark.parametrize(("level", "variance"), [(1, 0.0140), (2, 0.0198), (3, 0.0343), (4, 0.0524)])
def test_color_noise_is_added_in_ycbcr(level, variance):
    from skimage.color import rgb2ycbcr, ycbcr2rgb

    image = np.random.default_rng(1).integers(0, 256, (60, 50, 3), dtype=np.uint8)
    planes = np.round(rgb2ycbcr(image)) / 255
    planes = planes + np.sqrt(variance) * np.random.default_rng(0).standard_normal(image.shape)
    expected = np.clip(255 * ycbcr2rgb(255 * planes), 0, 255)
    assert np.abs(degraded(image, "color_noise", level) - expected).max() < 0.51


def test_ycbcr_matches_matlab():
    rgb = np.random.default_rng(0).random((40, 3))
    np.testing.assert_allclose(ycbcr_to_rgb(rgb_to_ycbcr(rgb)), rgb, atol=1e-12)
    primaries = np.array([[0, 0, 0], [1, 1, 1], [1, 0, 0], [0, 0, 1]])
    expected = [[16, 128, 128], [235, 128, 128], [81.481, 90.203, 240], [40.966, 240, 109.786]]
    np.testing.assert_allclose(255 * rgb_to_ycbcr(primaries), expected, atol=1e-9)


@pytest.mark.parametrize(("level", "density"), [(1, 0.005), (2, 0.01), (3, 0.05), (4, 0.1)])
def test_impulse_noise_density(level, density):
    noisy = degraded(GRAY, "impulse_noise", level)
    assert set(np.unique(noisy)) == {0, 128, 255}
    error = 5 * np.sqrt(density / 2 / noisy.size)
    assert abs(np.mean(noisy == 0) - density / 2) < error
    assert abs(np.mean(noisy == 255) - density / 2) < error
    # Channels are independent, so whole pixels are almost never replaced.
    hit = noisy != 128
    assert np.mean(hit.all(axis=-1)) < density**3 + 5 * np.sqrt(density**3 / hit[..., 0].size)


@pytest.mark.parametrize(("level", "factor"), [(1, 0.05), (2, 0.09), (3, 0.13), (4, 0.2)])
def test_multiplicative_noise_grows_with_the_value(level, factor):
    for value in (30, 90):
        noisy = degraded(np.full_like(GRAY, value), "multiplicative_noise", level)
        assert abs(noisy.mean() - value) < 5 * factor * value / 256
        # Rounding adds 1/12 to the variance.
        assert noisy.std() == pytest.approx(np.hypot(factor * value, 12**-0.5), rel=0.012)
    assert not degraded(np.zeros_like(GRAY), "multiplicative_noise", level).any()


def test_denoising_removes_its_noise_and_keeps_edges():
    step = GRAY.copy()
    step[:, 125:] = 40
    # A generator with the seed of the second noise must not repeat that noise.
    errors = [degraded(step, "denoising", 1, seed).astype(float) - step for seed in (0, 1)]
    for error in errors:
        assert error[20:-20, 20:110].std() < 4
        assert abs(error[:, 121:129]).mean() < 8
    # The second noise is the same for any generator, and so is a part of its remainder.
    assert np.corrcoef(errors[0].ravel(), errors[1].ravel())[0, 1] > 0.5


def test_denoising_without_scikit_image_raises(monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage.restoration", None)
    with pytest.raises(UserError, match=r"needs scikit-image.*pip install 'sirr_jax\[train\]'"):
        degraded(GRAY, "denoising", 1)
