"""Sub-pixel rearrangement, the last step of layers that double the resolution."""

from __future__ import annotations

import jax
import jax.numpy as jnp


def interleave(corners: jax.Array, features: int) -> jax.Array:
    """Rearranges corner values into an image of twice the resolution.

    Entry (i, j) of a 2x2 convolution with padding 1 belongs to the corner between source pixels i-1 and i. Its channels
    are `(row parity, column parity, features)`: values for even, then odd rows and columns of the enlarged image. Even
    row 2i takes corner i, odd row 2i+1 takes corner i+1.

    Args:
        corners: corner values [B, H+1, W+1, 4 * features].
        features: output channels.

    Returns:
        Features [B, 2H, 2W, features].
    """
    batch, height, width = (n - 1 if axis else n for axis, n in enumerate(corners.shape[:3]))
    corners = corners.reshape(batch, height + 1, width + 1, 2, 2, features)
    rows = jnp.stack((corners[:, :-1, :, 0], corners[:, 1:, :, 1]), axis=2)
    pixels = jnp.stack((rows[:, :, :, :-1, 0], rows[:, :, :, 1:, 1]), axis=4)
    return pixels.reshape(batch, 2 * height, 2 * width, features)
