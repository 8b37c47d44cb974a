"""The crops of `sirr_jax.data.images.crops`, cut on the accelerator out of photographs that it holds."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp


def cut_regions(photographs: jax.Array, regions: jax.Array, *, canvas: int, reach: int) -> jax.Array:
    """Cuts regions out and resizes each to the canvas, as `sirr_jax.data.images.crops.cut` does.

    Bicubic (Keys, a = -1/2), with antialiasing where a region is reduced, along rows first; Pillow's filter. Pillow
    rounds its coefficients to 22 bits, so that a value near a half is rounded the other way, once or twice.

    Args:
      photographs: uint8 `[N, H, W, 3]`, smaller ones padded at the bottom and on the right.
      regions: int32 `[n, 4]`: photograph, top, left, side; squares inside their photographs.
      canvas: Side of the results in pixels.
      reach: Largest side of a region in pixels.

    Returns:
      uint8 `[n, canvas, canvas, 3]`; the very pixels where a region has the canvas's size.
    """
    one = functools.partial(_cut, photographs, canvas=canvas, reach=reach)
    return jax.vmap(one)(regions)


def _cut(photographs: jax.Array, region: jax.Array, *, canvas: int, reach: int) -> jax.Array:
    photo, top, left, side = region
    _, height, width, _ = photographs.shape
    rows, columns = min(reach, height), min(reach, width)
    # A slice of the same size for every region: near an edge it begins before the region does.
    y, x = jnp.minimum(top, height - rows), jnp.minimum(left, width - columns)
    pixels = jax.lax.dynamic_slice(photographs, (photo, y, x, 0), (1, rows, columns, 3))[0].astype(jnp.float32)
    across = _filter(left - x, side, canvas=canvas, length=columns)
    down = _filter(top - y, side, canvas=canvas, length=rows)
    pixels = _levels(jnp.einsum("ij,rjc->ric", across, pixels, precision="highest"))
    pixels = _levels(jnp.einsum("ij,jkc->ikc", down, pixels, precision="highest"))
    return pixels.astype(jnp.uint8)


def _filter(start: jax.Array, side: jax.Array, *, canvas: int, length: int) -> jax.Array:
    """Weights [canvas, length] of a slice's pixels, of which `side` from `start` on are the region."""
    scale = side.astype(jnp.float32) / canvas
    middles = (jnp.arange(canvas, dtype=jnp.float32) + 0.5) * scale
    places = jnp.arange(length) - start
    distance = jnp.abs((places.astype(jnp.float32) + 0.5)[None] - middles[:, None]) / jnp.maximum(scale, 1.0)
    near = (1.5 * distance - 2.5) * distance * distance + 1.0
    far = ((-0.5 * distance + 2.5) * distance - 4.0) * distance + 2.0
    weights = jnp.where(distance < 1.0, near, jnp.where(distance < 2.0, far, 0.0))
    weights = jnp.where((places >= 0) & (places < side), weights, 0.0)
    return weights / weights.sum(axis=1, keepdims=True)


def _levels(pixels: jax.Array) -> jax.Array:
    return jnp.clip(jnp.floor(pixels + 0.5), 0.0, 255.0)
