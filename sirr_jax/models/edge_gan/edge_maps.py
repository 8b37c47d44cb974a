"""EdgeGAN's maps of photographs: Sobel edges, and attention targets where a reflection adds light.

EdgeGAN specification, section 4. The inputs are arrays of 8-bit files, so that the luma is a multiple of 1/2550000:
float32 and int32 represent it, its Sobel sums and its histogram bin exactly. The functions can be jitted; they have no
useful gradients.
"""

from __future__ import annotations

from typing import cast

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from sirr_jax.errors import UserError

TARGETS = ("contour", "mask")
"""Kinds of targets of `attention_target`."""

_LUMA = (2125, 7154, 721)  # scikit-image's weights of R, G and B, in 1/10000
_BINS = 256
_CEILING = 50.0  # gray levels; stronger edges are white


def edge_map(image: jax.Array) -> jax.Array:
    """Computes the strength of the edges of the luma. EdgeGAN specification, section 4.1.

    It is scikit-image 0.13's Sobel magnitude in gray levels, clipped at 50 and scaled to 255; the outermost pixels are
    0.

    Args:
        image: images [B, H, W, 3], RGB in [0, 1], float32; H and W at least 3.

    Returns:
        Edge map [B, H, W, 1], float32 in 0..255.

    Raises:
        UserError: The image has another shape, or is smaller than 3x3.
    """
    _check(image)
    down, across = _sobel(_luma(255.0 * image))
    # The weights of the kernels sum to 4.
    magnitude = jnp.sqrt((jnp.square(down) + jnp.square(across)) / 2.0) / (4.0 * sum(_LUMA))
    return _framed(jnp.minimum(magnitude, _CEILING) * (255.0 / _CEILING))


def attention_target(image: jax.Array, background: jax.Array, *, target: str = "contour") -> jax.Array:
    """Locates the light of the reflection, by Otsu's threshold on the difference. EdgeGAN specification, section 4.2.

    The images are first rounded to 8 bits, as they were in their files. The threshold is the center of a bin of a
    histogram of 256 bins from the smallest to the largest luma difference.

    Args:
        image: images with the reflection [B, H, W, 3], RGB in [0, 1], float32; H and W at least 3, up to 8 megapixels.
        background: images without the reflection, of the same shape and range.
        target: "contour", as released, for the outline of the pixels above the threshold, two pixels wide, without the
            outermost pixels of the image; "mask" for these pixels themselves.

    Returns:
        Target [B, H, W, 1], float32, 0 or 255; zeros for an image whose luma difference is constant.

    Raises:
        UserError: The target is unknown, the shapes of the images differ, or they are not RGB images of at least 3x3.
    """
    if target not in TARGETS:
        raise UserError(f"there is no attention target {target!r}; choose one of {', '.join(TARGETS)}")
    if image.shape != background.shape:
        raise UserError(f"the image has shape {image.shape}, its background {background.shape}; they must be equal")
    _check(image)
    mask = _above_otsu(_luma(_bytes(image) - _bytes(background)))
    if target == "contour":
        down, across = _sobel(mask.astype(jnp.int32))
        mask = _framed((down != 0) | (across != 0))
    return 255.0 * mask.astype(jnp.float32)


def _check(image: jax.Array) -> None:
    if image.ndim != 4 or image.shape[-1] != 3 or min(image.shape[1:3]) < 3:
        raise UserError(f"image has shape {image.shape}, expected RGB images [B, H, W, 3] of at least 3x3 pixels")


def _bytes(image: jax.Array) -> jax.Array:
    return jnp.round(255.0 * jnp.clip(image, 0.0, 1.0)).astype(jnp.int32)


def _luma(image: jax.Array) -> jax.Array:
    """Returns 10000 times the luma [B, H, W, 1]; not as a matrix product, which TF32 would make inexact."""
    return cast(jax.Array, sum(weight * image[..., i : i + 1] for i, weight in enumerate(_LUMA)))


def _sobel(x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Returns four times the vertical and horizontal Sobel filters [B, H-2, W-2, 1], without the border."""
    vertical, horizontal = x[:, :-2] - x[:, 2:], x[:, :, :-2] - x[:, :, 2:]
    down = vertical[:, :, :-2] + 2 * vertical[:, :, 1:-1] + vertical[:, :, 2:]
    across = horizontal[:, :-2] + 2 * horizontal[:, 1:-1] + horizontal[:, 2:]
    return down, across


def _framed(x: jax.Array) -> jax.Array:
    return jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))


def _above_otsu(x: jax.Array) -> jax.Array:
    """Returns the pixels of int32 [B, H, W, 1] within +-2550000 that are above Otsu's threshold of their image."""
    height = x - x.min(axis=(1, 2, 3), keepdims=True)
    spread = height.max(axis=(1, 2, 3), keepdims=True)
    # 5100000 * 256 is below 2^31. The largest value is in the last bin.
    bins = jnp.minimum(height * _BINS // jnp.maximum(spread, 1), _BINS - 1)
    counts = jax.vmap(lambda each: jnp.bincount(each.ravel(), length=_BINS))(bins)
    best = _best_split(counts).astype(jnp.uint32)[:, None, None, None]
    # height > (best + 1/2) / 256 * spread, below 2^32.
    return 2 * _BINS * height.astype(jnp.uint32) > (2 * best + 1) * spread.astype(jnp.uint32)


def _best_split(counts: jax.Array) -> jax.Array:
    """Returns the first bin after which a split of the histograms [B, 256] separates best; int32 [B].

    With n of N pixels below the split, and s and S the sums of their bins, Otsu's variance between the classes is
    (s N - S n)^2 / (n (N - n)), up to a factor.
    """
    below = jnp.cumsum(counts, axis=-1)
    weighted = jnp.cumsum(counts * jnp.arange(_BINS, dtype=counts.dtype)[None], axis=-1)
    pixels, total = (jnp.broadcast_to(x[:, -1:], x.shape) for x in (below, weighted))
    # The two best splits may differ by less than the precision of float32. Only elementwise primitives can be float64
    # inside a float32 program: reductions and constants would be lowered as float32.
    with jax.enable_x64(True):
        n, s, pixels, total = (lax.convert_element_type(x, np.float64) for x in (below, weighted, pixels, total))
        separation = lax.sub(lax.mul(s, pixels), lax.mul(total, n))
        score = lax.div(lax.mul(separation, separation), lax.mul(n, lax.sub(pixels, n)))
        high = lax.convert_element_type(score, np.float32)
        low = lax.convert_element_type(lax.sub(score, lax.convert_element_type(high, np.float64)), np.float32)
    high = jnp.where(jnp.isnan(high), -1.0, high)  # 0/0 where one class is empty
    leading = high == high.max(axis=-1, keepdims=True)
    return jnp.argmax(jnp.where(leading, low, -jnp.inf), axis=-1).astype(jnp.int32)
