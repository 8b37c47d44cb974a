"""Convolutional layer of both decoders."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.typing import Dtype

from sirr_jax.layers.conv import conv
from sirr_jax.layers.normalization import BatchNorm


class ConvLayer(nn.Module):
    """Zero-padded convolution with bias, batch normalization and ReLU: `[B, H, W, C] -> [B, H, W, features]`.

    SGRRN specification, section 5 (`ConvLayer`).

    Attributes:
        features: output channels.
        kernel: side of the square kernel.
        relu: whether the layer ends in a ReLU.
        momentum: weight of the new batch in the running statistics.
        axis_name: name of a pmapped axis over which batch statistics are averaged.
        dtype: computation type; parameters are float32.
    """

    features: int
    kernel: int = 3
    relu: bool = True
    momentum: float = 0.1
    axis_name: str | None = None
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """Applies the layer to `x` [B, H, W, C]."""
        x = conv(self.features, kernel=self.kernel, dtype=self.dtype, name="conv")(x)
        x = BatchNorm(momentum=self.momentum, axis_name=self.axis_name, name="norm")(x, train=train)
        return nn.relu(x) if self.relu else x
