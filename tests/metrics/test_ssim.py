"""SSIM against literal window loops and scikit-image, and its precision in float32."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.metrics import structural_similarity

from sirr_jax.errors import UserError
from sirr_jax.metrics import ssim

WINDOWS = pytest.mark.parametrize("window", ["uniform", "gaussian"])
SCIKIT_IMAGE = {
    "uniform": {},
    "gaussian": {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False},
}


def pair(seed: int, *shape: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    target = rng.random(shape)
    return np.clip(target + rng.uniform(0.01, 0.5) * rng.standard_normal(shape), 0.0, 1.0), target


def literal_ssim(estimate: np.ndarray, target: np.ndarray, window: str) -> float:
    """One window after the other, on the 0..255 scale, as in the protocol."""
    size = 7 if window == "uniform" else 11
    profile = np.ones(size) if window == "uniform" else np.exp(-((np.arange(size) - 5.0) ** 2) / (2 * 1.5**2))
    weights = np.outer(profile, profile) / profile.sum() ** 2
    factor = 49 / 48 if window == "uniform" else 1.0
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    height, width, channels = target.shape
    values = []
    for c in range(channels):
        for i in range(height - size + 1):
            for j in range(width - size + 1):
                x = 255 * estimate[i : i + size, j : j + size, c]
                y = 255 * target[i : i + size, j : j + size, c]
                ux, uy = (weights * x).sum(), (weights * y).sum()
                vx, vy = (factor * (weights * (a - u) ** 2).sum() for a, u in ((x, ux), (y, uy)))
                vxy = factor * (weights * (x - ux) * (y - uy)).sum()
                values.append((2 * ux * uy + c1) * (2 * vxy + c2) / ((ux**2 + uy**2 + c1) * (vx + vy + c2)))
    return float(np.mean(values))


@WINDOWS
@pytest.mark.parametrize("shape", [(11, 11, 1), (13, 17, 3)])
def test_ssim_equals_literal_window_loops(window, shape):
    images = pair(1, *shape)
    assert ssim(*images, window=window) == pytest.approx(literal_ssim(*images, window), rel=1e-12)


@WINDOWS
def test_ssim_matches_scikit_image(window):
    estimate, target = pair(2, 23, 31, 3)
    expected = structural_similarity(
        target * 255.0, estimate * 255.0, data_range=255.0, channel_axis=2, **SCIKIT_IMAGE[window]
    )
    assert ssim(estimate, target, window=window) == pytest.approx(expected, rel=1e-12)


@WINDOWS
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), height=st.integers(11, 16), width=st.integers(11, 16))
def test_ssim_is_symmetric_and_1_only_for_identical_images(window, seed, height, width):
    estimate, target = pair(seed, height, width, 3)
    value = ssim(estimate, target, window=window)
    assert value == pytest.approx(ssim(target, estimate, window=window), rel=1e-12)
    assert value < 1.0
    assert ssim(target, target, window=window) == 1.0


@WINDOWS
def test_ssim_of_bright_flat_images_is_precise_in_float32(window):
    # Pixels deviate by 0.1 of 247 gray levels; E[x^2] - E[x]^2 in float32 has an error of 1e-5 here.
    rng = np.random.default_rng(4)
    target = (0.97 + 0.02 * rng.random((24, 24, 3)) / 16).astype(np.float32)
    estimate = (target + 0.02 * rng.standard_normal(target.shape) / 16).astype(np.float32)
    single = ssim(jnp.asarray(estimate), jnp.asarray(target), window=window)
    assert float(single) == pytest.approx(ssim(estimate, target, window=window), abs=4e-7)


def test_gaussian_window_needs_eleven_pixels():
    with pytest.raises(UserError, match=r"10x30 pixels.*at least 11x11"):
        ssim(*pair(5, 10, 30, 3), window="gaussian")


def test_unknown_window_raises():
    with pytest.raises(UserError, match="'box', expected one of uniform, gaussian"):
        ssim(*pair(6, 12, 12, 3), window="box")
