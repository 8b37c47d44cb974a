"""Backward warping of images and features by optical flow."""

from __future__ import annotations

import jax
import jax.numpy as jnp


def warp(x: jax.Array, flow: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Samples `x` bilinearly at `p + flow(p)`.

    Neighbors outside the image are clamped to the border. The result is differentiable in `x` and `flow`; the validity
    is constant. Reflection-dynamics specification, section 2.4.

    Args:
        x: image or features [B, H, W, C], any float type.
        flow: optical flow [B, H, W, 2], float32, in pixels of `x`; the last axis is (u along the width, v along the
            height).

    Returns:
        Warped image [B, H, W, C] in the type of `x`, and validity [B, H, W, 1] (float32): 1 where the sampled point is
        inside the image, else 0.
    """
    batch, height, width, channels = x.shape
    column = jnp.arange(width, dtype=jnp.float32)[None, None, :] + flow[..., 0]
    row = jnp.arange(height, dtype=jnp.float32)[None, :, None] + flow[..., 1]
    inside = (column >= 0) & (column <= width - 1) & (row >= 0) & (row <= height - 1)

    left, top = jnp.floor(column), jnp.floor(row)
    pixels = x.reshape(batch, height * width, channels)

    def neighbor(dx: int, dy: int) -> jax.Array:
        """Returns the values at one of the four integer neighbors, times their bilinear weights."""
        weight = (1.0 - jnp.abs(column - (left + dx))) * (1.0 - jnp.abs(row - (top + dy)))
        i = jnp.clip(top + dy, 0, height - 1).astype(jnp.int32)
        j = jnp.clip(left + dx, 0, width - 1).astype(jnp.int32)
        index = (i * width + j).reshape(batch, height * width, 1)
        values = jnp.take_along_axis(pixels, index, axis=1, mode="clip")
        return values.astype(jnp.float32) * weight.reshape(batch, height * width, 1)

    total = neighbor(0, 0) + neighbor(1, 0) + neighbor(0, 1) + neighbor(1, 1)
    warped = total.reshape(batch, height, width, channels).astype(x.dtype)
    return warped, jax.lax.stop_gradient(inside[..., None].astype(jnp.float32))
