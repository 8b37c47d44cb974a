"""PSNR against scikit-image, and its infinite values."""

from __future__ import annotations

import math

import jax.numpy as jnp
import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio

from sirr_jax.metrics import psnr


@pytest.fixture
def images():
    rng = np.random.default_rng(3)
    target = rng.random((9, 11, 3))
    return np.clip(target + np.array([0.02, 0.1, 0.3]) * rng.standard_normal(target.shape), 0.0, 1.0), target


def test_per_channel_psnr_is_the_mean_of_the_channels(images):
    estimate, target = images
    channels = [
        peak_signal_noise_ratio(target[..., c] * 255.0, estimate[..., c] * 255.0, data_range=255.0) for c in range(3)
    ]
    assert psnr(estimate, target) == pytest.approx(np.mean(channels), rel=1e-12)


def test_pooled_psnr_matches_scikit_image(images):
    estimate, target = images
    expected = peak_signal_noise_ratio(target * 255.0, estimate * 255.0, data_range=255.0)
    assert psnr(estimate, target, per_channel=False) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("xp", [np, jnp])
def test_one_identical_channel_makes_only_the_per_channel_psnr_infinite(images, xp):
    estimate, target = images
    estimate[..., 1] = target[..., 1]
    estimate, target = xp.asarray(estimate), xp.asarray(target)
    assert psnr(estimate, target) == math.inf
    assert psnr(estimate, target, per_channel=False) < 30.0
    assert psnr(target, target, per_channel=False) == math.inf
