"""Pixel coordinates."""

from __future__ import annotations

import jax
import jax.numpy as jnp


def pixel_grid(height: int, width: int) -> jax.Array:
    """Returns the positions of all pixels.

    Args:
        height: number of rows.
        width: number of columns.

    Returns:
        [height, width, 2] float32 positions in pixels, x before y.
    """
    x, y = jnp.meshgrid(jnp.arange(width, dtype=jnp.float32), jnp.arange(height, dtype=jnp.float32))
    return jnp.stack([x, y], axis=-1)
