"""Interpolation of an image at real-valued positions."""

from __future__ import annotations

import jax
import jax.numpy as jnp


def sample_cubic(image: jax.Array, points: jax.Array) -> jax.Array:
    """Interpolates an image by Catmull-Rom cubics (Keys, a = -1/2); positions outside use the border.

    Args:
        image: [H, W, C] float32.
        points: [..., 2] float32 positions, x before y, in pixels; (0, 0) is the center of the first pixel.

    Returns:
        [..., C]. Near steep edges values exceed the range of the image by up to an eighth of the step per axis.
    """
    height, width, channels = image.shape
    flat = image.reshape(height * width, channels)
    base = jnp.floor(points)
    weights = _keys_weights(points - base)
    column = base[..., 0].astype(jnp.int32)
    row = base[..., 1].astype(jnp.int32)
    columns = [jnp.clip(column + tap - 1, 0, width - 1) for tap in range(4)]
    total = jnp.zeros((*points.shape[:-1], channels), image.dtype)
    for y, weight_y in enumerate(weights):
        start = jnp.clip(row + y - 1, 0, height - 1) * width
        line = jnp.zeros_like(total)
        for x, weight_x in enumerate(weights):
            pixels = flat.at[start + columns[x]].get(mode="promise_in_bounds")
            line = line + pixels * weight_x[..., 0, None]
        total = total + line * weight_y[..., 1, None]
    return total


def _keys_weights(t: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    return (
        ((-0.5 * t + 1.0) * t - 0.5) * t,
        (1.5 * t - 2.5) * t * t + 1.0,
        ((-1.5 * t + 2.0) * t + 0.5) * t,
        (0.5 * t - 0.5) * t * t,
    )
