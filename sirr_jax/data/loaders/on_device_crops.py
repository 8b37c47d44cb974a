"""The crops of `sirr_jax.data.images.crops`, computed on an accelerator from photos in its memory."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp


def cut_regions(photographs: jax.Array, regions: jax.Array, *, canvas: int, reach: int) -> jax.Array:
    """Crops regions and resizes each to the canvas, as `sirr_jax.data.images.crops.cut` does.

    The filter is that of Pillow: bicubic (Keys, a = -1/2), with antialiasing when downscaling, along rows first. Pillow
    rounds its coefficients to 22 bits, so that values near a half may be rounded differently, once per axis.

    Args:
        photographs: uint8 `[S, H, W, 3]`, sheets of photos.
        regions: int32 `[n, 4]`: sheet, top, left, side; squares inside their photos.
        canvas: side of the crops in pixels.
        reach: largest side of a region in pixels.

    Returns:
        uint8 `[n, canvas, canvas, 3]`; the unchanged pixels if a region has the size of the canvas.
    """
    one = functools.partial(_cut, photographs, canvas=canvas, reach=reach)
    return jax.vmap(one)(regions)


def _cut(photographs: jax.Array, region: jax.Array, *, canvas: int, reach: int) -> jax.Array:
    photo, top, left, side = region
    _, height, width, _ = photographs.shape
    rows, columns = min(reach, height), min(reach, width)
    # The slice has the same size for every region: near an edge it starts before the region.
    y, x = jnp.minimum(top, height - rows), jnp.minimum(left, width - columns)
    pixels = jax.lax.dynamic_slice(photographs, (photo, y, x, 0), (1, rows, columns, 3))[0].astype(jnp.float32)
    across = _filter(left - x, side, canvas=canvas, length=columns)
    down = _filter(top - y, side, canvas=canvas, length=rows)
    pixels = _round_to_levels(jnp.einsum("ij,rjc->ric", across, pixels, precision="highest"))
    pixels = _round_to_levels(jnp.einsum("ij,jkc->ikc", down, pixels, precision="highest"))
    return pixels.astype(jnp.uint8)


def _filter(start: jax.Array, side: jax.Array, *, canvas: int, length: int) -> jax.Array:
    """Returns weights [canvas, length] of the pixels of a slice, whose `side` pixels from `start` are the region."""
    scale = side.astype(jnp.float32) / canvas
    centers = (jnp.arange(canvas, dtype=jnp.float32) + 0.5) * scale
    positions = jnp.arange(length) - start
    distance = jnp.abs((positions.astype(jnp.float32) + 0.5)[None] - centers[:, None]) / jnp.maximum(scale, 1.0)
    near = (1.5 * distance - 2.5) * distance * distance + 1.0
    far = ((-0.5 * distance + 2.5) * distance - 4.0) * distance + 2.0
    weights = jnp.where(distance < 1.0, near, jnp.where(distance < 2.0, far, 0.0))
    weights = jnp.where((positions >= 0) & (positions < side), weights, 0.0)
    return weights / weights.sum(axis=1, keepdims=True)


def _round_to_levels(pixels: jax.Array) -> jax.Array:
    return jnp.clip(jnp.floor(pixels + 0.5), 0.0, 255.0)
