"""Correlation of two feature maps over a square neighborhood (cost volume)."""

from __future__ import annotations

import jax
import jax.numpy as jnp

_BLOCK = 16


def cost_volume(target: jax.Array, source: jax.Array, *, radius: int = 4) -> jax.Array:
    """Computes PWC-Net's cost volume (Sun et al. 2018).

    The costs are the means over channels of `target` at p times `source` at p + d, for all d in {-radius..radius}^2.
    The source is zero outside the image.

    Each row is split into blocks of 16 pixels, and each block is multiplied, as a matrix, with the source pixels within
    the radius: a few large products instead of (2 radius + 1)^2 shifted copies. They are cheap to compile and to
    differentiate, and need memory linear in the width.

    Args:
        target: features [B, H, W, C].
        source: features [B, H, W, C].
        radius: largest displacement in pixels, at most 8.

    Returns:
        Costs [B, H, W, (2 radius + 1)^2] in the type of `target`; displacement (dx, dy) is channel
        `(dy + radius) * (2 radius + 1) + dx + radius`.
    """
    batch, height, width, channels = target.shape
    side = 2 * radius + 1
    reach = _BLOCK + 2 * radius
    blocks = -(-width // _BLOCK)
    spare = blocks * _BLOCK - width

    target = jnp.pad(target, ((0, 0), (0, 0), (0, spare), (0, 0)))
    target = target.reshape(batch, height, blocks, _BLOCK, channels)
    source = jnp.pad(source, ((0, 0), (radius, radius), (radius, spare + _BLOCK - radius), (0, 0)))
    source = source.reshape(batch, height + 2 * radius, blocks + 1, _BLOCK, channels)
    windows = jnp.concatenate((source[:, :, :-1], source[:, :, 1:, : 2 * radius]), axis=3)
    windows = jnp.stack([windows[:, dy : dy + height] for dy in range(side)], axis=3)

    products = jnp.einsum("bhnwc,bhndvc->bhndwv", target, windows, preferred_element_type=jnp.float32)
    # Pixel w needs entries w .. w + 2 radius of its window: a diagonal band, which becomes a plain block of columns
    # once each row is one element longer.
    flat = products.reshape(batch, height, blocks, side, _BLOCK * reach)
    flat = jnp.pad(flat, ((0, 0),) * 4 + ((0, _BLOCK),))
    band = flat.reshape(batch, height, blocks, side, _BLOCK, reach + 1)[..., :side]
    costs = band.transpose(0, 1, 2, 4, 3, 5).reshape(batch, height, blocks * _BLOCK, side * side)
    return (costs[:, :, :width] / channels).astype(target.dtype)
