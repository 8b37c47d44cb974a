"""Losses of pixels, of image gradients and of local structure."""

from __future__ import annotations

from typing import cast

import jax
import jax.numpy as jnp
import numpy as np

from sirr_jax.layers.resize import downsample_area
from sirr_jax.losses.registry import LOSSES


def differences(x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Computes forward differences along width and height.

    Args:
        x: [..., H, W, C] images.

    Returns:
        The differences along the width, [..., H, W-1, C], and along the height, [..., H-1, W, C].
    """
    return x[..., :, 1:, :] - x[..., :, :-1, :], x[..., 1:, :, :] - x[..., :-1, :, :]


@LOSSES.register("l1")
def l1(a: jax.Array, b: jax.Array) -> jax.Array:
    """Computes the mean absolute difference.

    Args:
        a: array of any shape.
        b: array of the same shape.

    Returns:
        Scalar.
    """
    return jnp.abs(a - b).mean()


@LOSSES.register("mse")
def mse(a: jax.Array, b: jax.Array) -> jax.Array:
    """Computes the mean squared difference.

    Args:
        a: array of any shape.
        b: array of the same shape.

    Returns:
        Scalar.
    """
    return jnp.square(a - b).mean()


def total_variation(x: jax.Array) -> jax.Array:
    """Computes the mean absolute forward difference, summed over both directions.

    Args:
        x: [..., H, W, C] images.

    Returns:
        Scalar.
    """
    return cast(jax.Array, sum(jnp.abs(d).mean() for d in differences(x)))


@LOSSES.register("gradient_l1")
def gradient_l1(a: jax.Array, b: jax.Array) -> jax.Array:
    """Computes the mean absolute difference of the forward differences, summed over both directions.

    Args:
        a: [..., H, W, C] images.
        b: array of the same shape.

    Returns:
        Scalar.
    """
    return total_variation(a - b)


@LOSSES.register("multiscale_gradient_l1")
def multiscale_gradient_l1(a: jax.Array, b: jax.Array, *, scales: int = 3) -> jax.Array:
    """Computes `gradient_l1` averaged over octaves, with 2x2 means between them.

    Replaces the perceptual loss without VGG-19 weights (specification, section 3).

    Args:
        a: [B, H, W, C] images.
        b: array of the same shape.
        scales: number of octaves.

    Returns:
        Scalar.
    """
    error, total = a - b, jnp.zeros(())
    for scale in range(scales):
        if scale:
            height, width = error.shape[1:3]
            error = downsample_area(error[:, : height // 2 * 2, : width // 2 * 2], 2)
        total += total_variation(error)
    return total / scales


def _gaussian_filter(length: int, size: int, sigma: float) -> np.ndarray:
    """Matrix [length - size + 1, length] that filters a row by a normalized Gaussian, without padding."""
    taps = np.exp(-0.5 * ((np.arange(size) - (size - 1) / 2) / sigma) ** 2)
    rows = length - size + 1
    matrix = np.zeros((rows, length), np.float32)
    for i in range(rows):
        matrix[i, i : i + size] = taps / taps.sum()
    return matrix


def windowed_moments(a: jax.Array, b: jax.Array, *, size: int, sigma: float) -> tuple[jax.Array, ...]:
    """Computes means, variances and covariance of images in every Gaussian window inside the image.

    Filters by a product with a banded matrix, because XLA's depthwise convolutions are slow on CPUs.

    Args:
        a: [B, H, W, C] images, float32; H and W at least `size`.
        b: array of the same shape.
        size: side of the window in pixels.
        sigma: standard deviation of the window weights in pixels.

    Returns:
        Mean of a, mean of b, variance of a, variance of b, covariance: [B, H - size + 1, W - size + 1, C] each.
    """
    height, width = a.shape[1:3]
    down, across = _gaussian_filter(height, size, sigma), _gaussian_filter(width, size, sigma)

    def blur(x: jax.Array) -> jax.Array:
        # Variances are small differences of large numbers, which TF32 or bfloat16 products would turn into noise.
        return jnp.einsum("ih,bhwc,jw->bijc", down, x, across, precision="highest")

    mean_a, mean_b = blur(a), blur(b)
    variance_a, variance_b = blur(a * a) - mean_a**2, blur(b * b) - mean_b**2
    return mean_a, mean_b, variance_a, variance_b, blur(a * b) - mean_a * mean_b


def ssim_gaussian(a: jax.Array, b: jax.Array, *, size: int = 11, sigma: float = 1.5) -> jax.Array:
    """Computes the mean SSIM with a Gaussian window (Wang et al. 2004) for images of range 1.

    A differentiable loss term; `sirr_jax.metrics` computes the scores of reports.

    Args:
        a: [B, H, W, C] images in [0, 1].
        b: array of the same shape.
        size: side of the window in pixels, reduced to the side of smaller images.
        sigma: standard deviation of the window weights in pixels.

    Returns:
        Scalar, at most 1.
    """
    size = min(size, *a.shape[1:3])
    mean_a, mean_b, variance_a, variance_b, covariance = windowed_moments(a, b, size=size, sigma=sigma)
    c1, c2 = 0.01**2, 0.03**2
    luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    return (luminance * (2 * covariance + c2) / (variance_a + variance_b + c2)).mean()


@LOSSES.register("psnr")
def psnr_loss(a: jax.Array, b: jax.Array) -> jax.Array:
    """Computes 0.03 ln(1 + MSE / 1e-4) of each image, averaged: 0.13 at 21 dB, 0.02 at 40 dB.

    A decibel has the same weight for images far from the target and close to it. If a pixel has two likely values, the
    squared error is smallest at their mean and L1 at the likelier one, which for a sharp reflection is no change.

    Args:
        a: [B, H, W, C] images in [0, 1].
        b: array of the same shape.

    Returns:
        Scalar, at least 0.
    """
    mse = jnp.square(a - b).mean(axis=(1, 2, 3))
    return 0.03 * jnp.log1p(mse / 1e-4).mean()


@LOSSES.register("ssim")
def ssim_loss(a: jax.Array, b: jax.Array) -> jax.Array:
    """Computes 1 - SSIM, see `ssim_gaussian`.

    Args:
        a: [B, H, W, C] images in [0, 1].
        b: array of the same shape.

    Returns:
        Scalar, at least 0.
    """
    return 1.0 - ssim_gaussian(a, b)


ERRORS = {"l1": l1, "psnr": psnr_loss}
"""Pixel errors of `reconstruction` by name."""


def reconstruction(estimate: jax.Array, target: jax.Array, *, error: str = "l1") -> jax.Array:
    """Computes L_R: pixel error + 0.5 gradient L1 + 0.2 (1 - SSIM). Specification, section 3 (our form).

    Args:
        estimate: [B, H, W, 3] images in [0, 1].
        target: target of the same shape.
        error: pixel error: "l1", as specified, or "psnr" for `psnr_loss`.

    Returns:
        Scalar.
    """
    structure = ssim_loss(estimate, target)
    return ERRORS[error](estimate, target) + 0.5 * gradient_l1(estimate, target) + 0.2 * structure
