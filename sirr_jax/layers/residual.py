"""Residual block without normalization, with squeeze-and-excitation."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.typing import Dtype

from sirr_jax.layers.conv import conv


class SqueezeExcite(nn.Module):
    """Scale the channels of `[B, H, W, C]` by gates in (0, 1) computed from their means (Hu et al. 2018)."""

    reduction: int = 8
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Apply the layer to `x` [B, H, W, C]."""
        channels = x.shape[-1]
        # Means over many pixels lose digits in bfloat16.
        mean = x.astype(jnp.float32).mean(axis=(1, 2)).astype(self.dtype)
        hidden = nn.relu(nn.Dense(max(channels // self.reduction, 1), dtype=self.dtype, name="squeeze")(mean))
        gate = nn.sigmoid(nn.Dense(channels, dtype=self.dtype, name="excite")(hidden))
        return x * gate[:, None, None, :]


class Residual(nn.Module):
    """conv3x3, ReLU, conv3x3, squeeze-excite, times 0.1, plus the input (EDSR's and ERRNet's block).

    Without normalization layers batches of one to four are safe; the factor keeps deep stacks stable. Without `gated`
    the squeeze-excite is left out.
    """

    dilation: int = 1
    scale: float = 0.1
    gated: bool = True
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Apply the block to `x` [B, H, W, C]; same shape out."""
        channels = x.shape[-1]
        y = nn.relu(conv(channels, dilation=self.dilation, dtype=self.dtype, name="conv1")(x))
        y = conv(channels, dilation=self.dilation, dtype=self.dtype, name="conv2")(y)
        if self.gated:
            y = SqueezeExcite(dtype=self.dtype, name="excite")(y)
        return x + self.scale * y
