"""Multi-scale structural similarity as a loss term, with gradients that stay finite."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from sirr_jax.errors import UserError
from sirr_jax.layers.resize import downsample_area
from sirr_jax.losses.pixel import windowed_moments

# Wang, Simoncelli and Bovik 2003, from the finest scale on.
_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
_WINDOW = 11
_FLOOR = 1e-6


def ms_ssim(a: jax.Array, b: jax.Array, *, max_value: float, scales: int = 5) -> jax.Array:
    """MS-SSIM of each image, at most 1, as `tf.image.ssim_multiscale` computes it.

    Per channel: the mean contrast term of every scale but the last, the mean SSIM of the last, each to the power of
    its weight; then the mean over channels. Gaussian windows of 11x11 pixels, sigma 1.5, that lie inside the image;
    2x2 means between the scales, the last row or column repeated where a side is odd. TensorFlow cuts the factors off
    at 0, where the power's slope is infinite; we cut at 1e-6, below which the gradient is 0.

    Args:
        a: [B, H, W, C], float32.
        b: the same shape.
        max_value: the images' range: 1 for [0, 1], 2 for [-1, 1].
        scales: how many, 1 to 5. Fewer than 5 take images from 10 * 2^(scales - 1) + 1 pixels a side instead of 161,
            and the first weights, scaled up so that they add up to 1.

    Returns:
        [B], float32. EdgeGAN specification, section 5.

    Raises:
        UserError: if there is no such number of scales, the shapes differ or the images are too small.
    """
    if not 1 <= scales <= len(_WEIGHTS):
        raise UserError(f"ms_ssim has no {scales} scales; choose 1 to {len(_WEIGHTS)}")
    if a.shape != b.shape:
        raise UserError(f"ms_ssim compares images of one shape, not {a.shape} with {b.shape}")
    height, width = a.shape[1:3]
    smallest = (_WINDOW - 1) * 2 ** (scales - 1) + 1
    if min(height, width) < smallest:
        raise UserError(
            f"image size {height}x{width} is too small for MS-SSIM of {scales} scales, which takes {smallest} pixels "
            "a side; choose fewer scales or larger crops"
        )
    weights, similarity = _WEIGHTS[:scales], jnp.ones(())
    for scale, weight in enumerate(weights):
        if scale:
            a, b = _halve(a), _halve(b)
        luminance, contrast = _terms(a, b, max_value)
        term = (luminance * contrast if scale == scales - 1 else contrast).mean(axis=(1, 2))
        similarity = similarity * jnp.maximum(term, _FLOOR) ** (weight / sum(weights))
    return similarity.mean(axis=-1)


def _terms(a: jax.Array, b: jax.Array, max_value: float) -> tuple[jax.Array, jax.Array]:
    """Maps of the luminance term and of the contrast and structure term."""
    mean_a, mean_b, variance_a, variance_b, covariance = windowed_moments(a, b, size=_WINDOW, sigma=1.5)
    c1, c2 = (0.01 * max_value) ** 2, (0.03 * max_value) ** 2
    luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    return luminance, (2 * covariance + c2) / (variance_a + variance_b + c2)


def _halve(x: jax.Array) -> jax.Array:
    odd = tuple((0, n % 2) for n in x.shape[1:3])
    return downsample_area(jnp.pad(x, ((0, 0), *odd, (0, 0)), mode="symmetric"), 2)
