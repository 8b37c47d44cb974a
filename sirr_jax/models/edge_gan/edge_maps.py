"""EdgeGAN's maps of photographs: Sobel edges, and where a reflection adds light (EdgeGAN specification, section 4).

They take arrays of 8-bit files, so that the luma is a whole number of 1/2550000: float32 and int32 hold it,
its Sobel sums and its place in a histogram exactly. Jittable; nothing here carries a useful gradient.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from sirr_jax.errors import UserError

TARGETS = ("contour", "mask")
"""What `attention_target` may draw."""

_LUMA = (2125, 7154, 721)  # scikit-image's weights of R, G and B, in 1/10000
_BINS = 256
_CEILING = 50.0  # gray levels; stronger edges are white


def edge_map(image: jax.Array) -> jax.Array:
    """Strength of the luma's edges. EdgeGAN specification, section 4.1.

    scikit-image 0.13's Sobel magnitude in gray levels, cut at 50 and stretched to 255; the outermost pixels are 0.

    Args:
        image: [B, H, W, 3] RGB in [0, 1], float32; H and W at least 3.

    Returns:
        [B, H, W, 1] float32 in 0..255.

    Raises:
        UserError: if the image has another shape or is smaller.
    """
    _check(image)
    down, across = _sobel(_luma(255.0 * image))
    # The kernels' weights add up to 4.
    magnitude = jnp.sqrt((jnp.square(down) + jnp.square(across)) / 2.0) / (4.0 * sum(_LUMA))
    return _framed(jnp.minimum(magnitude, _CEILING) * (255.0 / _CEILING))


def attention_target(image: jax.Array, background: jax.Array, *, target: str = "contour") -> jax.Array:
    """Where the reflection adds light, by Otsu's threshold on the difference. EdgeGAN specification, section 4.2.

    The images are rounded to 8 bits first, as they were in their files. The threshold is the center of a bin of a
    histogram of 256 bins from the smallest to the largest luma difference.

    Args:
        image: [B, H, W, 3] RGB in [0, 1], float32, with the reflection; H and W at least 3, up to 8 megapixels.
        background: the same without.
        target: "contour" as released: the outline of the pixels above the threshold, two pixels wide, without the
            image's outermost pixels; "mask": these pixels themselves.

    Returns:
        [B, H, W, 1] float32, 0 or 255; zeros for an image whose luma differs by the same amount everywhere.

    Raises:
        UserError: if the target is unknown, or the images differ in shape, have another one or are smaller.
    """
    if target not in TARGETS:
        raise UserError(f"there is no attention target {target!r}; choose one of {', '.join(TARGETS)}")
    if image.shape != background.shape:
        raise UserError(f"the image is {image.shape}, its background {background.shape}; give a pair of one shape")
    _check(image)
    mask = _above_otsu(_luma(_bytes(image) - _bytes(background)))
    if target == "contour":
        down, across = _sobel(mask.astype(jnp.int32))
        mask = _framed((down != 0) | (across != 0))
    return 255.0 * mask.astype(jnp.float32)


def _check(image: jax.Array) -> None:
    if image.ndim != 4 or image.shape[-1] != 3 or min(image.shape[1:3]) < 3:
        raise UserError(f"an array of shape {image.shape} is no batch of RGB images; give [B, H, W, 3] from 3x3 pixels")


def _bytes(image: jax.Array) -> jax.Array:
    return jnp.round(255.0 * jnp.clip(image, 0.0, 1.0)).astype(jnp.int32)


def _luma(image: jax.Array) -> jax.Array:
    """[B, H, W, 3] -> [B, H, W, 1], 10000 times the luma; not a product of matrices, which TF32 would spoil."""
    return sum(weight * image[..., i : i + 1] for i, weight in enumerate(_LUMA))


def _sobel(x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Four times the Sobel filter down and across, [B, H-2, W-2, 1]: the release leaves out the border."""
    vertical, horizontal = x[:, :-2] - x[:, 2:], x[:, :, :-2] - x[:, :, 2:]
    down = vertical[:, :, :-2] + 2 * vertical[:, :, 1:-1] + vertical[:, :, 2:]
    across = horizontal[:, :-2] + 2 * horizontal[:, 1:-1] + horizontal[:, 2:]
    return down, across


def _framed(x: jax.Array) -> jax.Array:
    return jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))


def _above_otsu(x: jax.Array) -> jax.Array:
    """Which pixels of int32 [B, H, W, 1] within +-2550000 lie above their image's threshold."""
    height = x - x.min(axis=(1, 2, 3), keepdims=True)
    spread = height.max(axis=(1, 2, 3), keepdims=True)
    # 5100000 * 256 is below 2^31. The largest value belongs to the last bin.
    bins = jnp.minimum(height * _BINS // jnp.maximum(spread, 1), _BINS - 1)
    counts = jax.vmap(lambda each: jnp.bincount(each.ravel(), length=_BINS))(bins)
    best = _best_split(counts).astype(jnp.uint32)[:, None, None, None]
    # height > (best + 1/2) / 256 * spread, below 2^32.
    return 2 * _BINS * height.astype(jnp.uint32) > (2 * best + 1) * spread.astype(jnp.uint32)


def _best_split(counts: jax.Array) -> jax.Array:
    """The first bin after which a split of the histograms [B, 256] separates best; int32 [B].

    With n pixels below the split of N in all, and s and S the sums of their bins, Otsu's variance between the classes
    is (s N - S n)^2 / (n (N - n)), up to a factor.
    """
    below = jnp.cumsum(counts, axis=-1)
    weighted = jnp.cumsum(counts * jnp.arange(_BINS, dtype=counts.dtype)[None], axis=-1)
    pixels, total = (jnp.broadcast_to(x[:, -1:], x.shape) for x in (below, weighted))
    # The two best splits may differ by less than float32 resolves. Elementwise primitives alone may be float64 inside a
    # program of float32: whatever reduces or takes constants would be lowered for float32.
    with jax.enable_x64(True):
        n, s, pixels, total = (lax.convert_element_type(x, np.float64) for x in (below, weighted, pixels, total))
        separation = lax.sub(lax.mul(s, pixels), lax.mul(total, n))
        score = lax.div(lax.mul(separation, separation), lax.mul(n, lax.sub(pixels, n)))
        high = lax.convert_element_type(score, np.float32)
        low = lax.convert_element_type(lax.sub(score, lax.convert_element_type(high, np.float64)), np.float32)
    high = jnp.where(jnp.isnan(high), -1.0, high)  # 0/0 where one class is empty
    leading = high == high.max(axis=-1, keepdims=True)
    return jnp.argmax(jnp.where(leading, low, -jnp.inf), axis=-1).astype(jnp.int32)
