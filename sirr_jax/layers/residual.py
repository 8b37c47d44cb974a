"""Residual block with squeeze-and-excitation and without normalization."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.typing import Dtype

from sirr_jax.layers.conv import conv


class SqueezeExcite(nn.Module):
    """Squeeze-and-excitation: scales channels by gates in (0, 1) computed from their means (Hu et al. 2018).

    Attributes:
        reduction: divisor of the number of hidden channels.
        dtype: computation type; parameters are float32.
    """

    reduction: int = 8
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Applies the layer to `x` [B, H, W, C]."""
        channels = x.shape[-1]
        # Means over many pixels lose digits in bfloat16.
        mean = x.astype(jnp.float32).mean(axis=(1, 2)).astype(self.dtype)
        hidden = nn.relu(nn.Dense(max(channels // self.reduction, 1), dtype=self.dtype, name="squeeze")(mean))
        gate = nn.sigmoid(nn.Dense(channels, dtype=self.dtype, name="excite")(hidden))
        return x * gate[:, None, None, :]


class Residual(nn.Module):
    """Residual block of EDSR and ERRNet: conv3x3, ReLU, conv3x3, squeeze-excite, times 0.1, plus the input.

    It has no normalization, so small batches (one to four images) are safe; the factor keeps deep stacks stable.

    Attributes:
        dilation: dilation of both convolutions.
        scale: factor of the branch.
        gated: whether the branch has squeeze-and-excitation.
        dtype: computation type; parameters are float32.
    """

    dilation: int = 1
    scale: float = 0.1
    gated: bool = True
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Applies the block to `x` [B, H, W, C]; keeps the shape."""
        channels = x.shape[-1]
        y = nn.relu(conv(channels, dilation=self.dilation, dtype=self.dtype, name="conv1")(x))
        y = conv(channels, dilation=self.dilation, dtype=self.dtype, name="conv2")(y)
        if self.gated:
            y = SqueezeExcite(dtype=self.dtype, name="excite")(y)
        return x + self.scale * y
