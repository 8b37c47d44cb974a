"""Resizes by whole factors, equal to PyTorch's, and padding to a multiple."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from sirr_jax.errors import UserError


def upsample_nearest(x: jax.Array, factor: int) -> jax.Array:
    """Repeat every pixel `factor` times in both directions: `[B, H, W, C] -> [B, H*factor, W*factor, C]`."""
    batch, height, width, channels = x.shape
    shape = (batch, height, factor, width, factor, channels)
    repeated = jnp.broadcast_to(x[:, :, None, :, None, :], shape)
    return repeated.reshape(batch, height * factor, width * factor, channels)


def upsample_bilinear(x: jax.Array, factor: int) -> jax.Array:
    """Bilinear enlargement of `[B, H, W, C]`, equal to torch's `interpolate(align_corners=False)`."""
    batch, height, width, channels = x.shape
    return jax.image.resize(x, (batch, height * factor, width * factor, channels), "bilinear", antialias=False)


def downsample_area(x: jax.Array, factor: int) -> jax.Array:
    """Mean over `factor x factor` blocks: `[B, H, W, C] -> [B, H/factor, W/factor, C]`.

    Raises:
        UserError: if H or W is not a multiple of `factor`.
    """
    batch, height, width, channels = x.shape
    if height % factor or width % factor:
        raise UserError(f"image size {height}x{width} is not a multiple of {factor}; crop or pad it first")
    blocks = x.reshape(batch, height // factor, factor, width // factor, factor, channels)
    return blocks.mean(axis=(2, 4))


def pad_to_multiple(x: jax.Array, multiple: int) -> jax.Array:
    """Reflect-pad `[B, H, W, C]` at the bottom and right until H and W are multiples of `multiple`."""
    _, height, width, _ = x.shape
    below, right = -height % multiple, -width % multiple
    if not below and not right:
        return x
    return jnp.pad(x, ((0, 0), (0, below), (0, right), (0, 0)), mode="reflect")
