"""Multi-scale structural similarity (MS-SSIM) as a loss term, with finite gradients."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from sirr_jax.errors import UserError
from sirr_jax.layers.resize import downsample_area
from sirr_jax.losses.pixel import windowed_moments
from sirr_jax.losses.registry import LOSSES

# Wang, Simoncelli and Bovik 2003, from the finest scale to the coarsest.
_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
_WINDOW = 11
_FLOOR = 1e-6


def ms_ssim(a: jax.Array, b: jax.Array, *, max_value: float, scales: int = 5) -> jax.Array:
    """Computes MS-SSIM of each image, as `tf.image.ssim_multiscale` does (EdgeGAN specification, section 5).

    Per channel it is the product of the mean contrast term of every scale except the last and of the mean SSIM of the
    last, each to the power of its weight; then the mean over channels. Windows are Gaussian, of 11x11 pixels and sigma
    1.5, inside the image; between scales 2x2 pixels are averaged, with the last row or column of odd sides repeated.
    TensorFlow clips the factors at 0, where the power has an infinite slope; here they are clipped at 1e-6, below which
    the gradient is 0.

    Args:
        a: [B, H, W, C] images, float32.
        b: array of the same shape.
        max_value: width of the value range: 1 for [0, 1], 2 for [-1, 1].
        scales: number of scales, 1 to 5. Images need at least 10 * 2^(scales - 1) + 1 pixels a side, 161 for 5 scales.
            Fewer than 5 scales use the first weights, normalized to a sum of 1.

    Returns:
        [B] float32, at most 1.

    Raises:
        UserError: The number of scales is out of range, the shapes differ, or the images are too small.
    """
    if not 1 <= scales <= len(_WEIGHTS):
        raise UserError(f"ms_ssim: scales is {scales}, expected 1 to {len(_WEIGHTS)}")
    if a.shape != b.shape:
        raise UserError(
            f"ms_ssim: the images have shapes {a.shape} and {b.shape}, expected equal shapes: crop or resize one"
        )
    height, width = a.shape[1:3]
    smallest = (_WINDOW - 1) * 2 ** (scales - 1) + 1
    if min(height, width) < smallest:
        raise UserError(
            f"image size {height}x{width} is too small for MS-SSIM of {scales} scales, which needs {smallest} pixels "
            "a side: use fewer scales or larger crops"
        )
    weights, similarity = _WEIGHTS[:scales], jnp.ones(())
    for scale, weight in enumerate(weights):
        if scale:
            a, b = _halve(a), _halve(b)
        luminance, contrast = _terms(a, b, max_value)
        term = (luminance * contrast if scale == scales - 1 else contrast).mean(axis=(1, 2))
        similarity = similarity * jnp.maximum(term, _FLOOR) ** (weight / sum(weights))
    return similarity.mean(axis=-1)


@LOSSES.register("ms_ssim")
def ms_ssim_loss(a: jax.Array, b: jax.Array) -> jax.Array:
    """Computes 1 - MS-SSIM, see `ms_ssim`.

    Args:
        a: [B, H, W, C] images in [0, 1], at least 161 px a side.
        b: array of the same shape.

    Returns:
        Scalar, at least 0.
    """
    return 1.0 - ms_ssim(a, b, max_value=1.0).mean()


def _terms(a: jax.Array, b: jax.Array, max_value: float) -> tuple[jax.Array, jax.Array]:
    """Maps of the luminance term and of the contrast and structure term."""
    mean_a, mean_b, variance_a, variance_b, covariance = windowed_moments(a, b, size=_WINDOW, sigma=1.5)
    c1, c2 = (0.01 * max_value) ** 2, (0.03 * max_value) ** 2
    luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    return luminance, (2 * covariance + c2) / (variance_a + variance_b + c2)


def _halve(x: jax.Array) -> jax.Array:
    odd = tuple((0, n % 2) for n in x.shape[1:3])
    return downsample_area(jnp.pad(x, ((0, 0), *odd, (0, 0)), mode="symmetric"), 2)
