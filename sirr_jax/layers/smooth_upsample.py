"""Transposed convolution with a smoothing filter against checkerboard artifacts."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.typing import Dtype

from sirr_jax.layers.conv_transpose import ConvTranspose
from sirr_jax.layers.padding import reflect_pad
from sirr_jax.layers.pooling import average_pool


class SmoothUpsample(nn.Module):
    """Upsampling `[B, H, W, C] -> [B, 2H, 2W, features]`: transposed 4x4 convolution, mean over 2x2, ReLU.

    The mean has stride 1 and covers the pixels above and left: `y[i, j] = mean(x[i-1..i, j-1..j])` with `x[-1] = x[1]`.
    AttentiveGAN specification, section 2.2; IBCLN has the same block (baselines specification, section 5.2).

    Attributes:
        features: output channels.
        dtype: computation type; parameters are float32.
    """

    features: int
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Applies the layer to `x` [B, H, W, C]."""
        y = ConvTranspose(self.features, dtype=self.dtype, name="deconv")(x)
        return nn.relu(average_pool(reflect_pad(y, ((1, 0), (1, 0))), 2, stride=1))
