"""Decoder of teacher and student."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.typing import Dtype

from sirr_jax.layers.conv import conv
from sirr_jax.layers.residual import Residual
from sirr_jax.layers.resize import upsample_nearest
from sirr_jax.layers.upsample_conv import UpsampleConv
from sirr_jax.models.dynamics.widths import Widths


class _GatedSkip(nn.Module):
    """Upsampling by 2 with a gated skip connection.

    An ungated skip would pass the reflection around the network, so the gate is computed from deep features.
    """

    dtype: Dtype

    @nn.compact
    def __call__(self, deep: jax.Array, skip: jax.Array) -> jax.Array:
        channels = skip.shape[-1]
        up = nn.relu(UpsampleConv(channels, dtype=self.dtype, name="up")(deep))
        # A 1x1 convolution and a sigmoid commute with nearest upsampling, so the gate is computed at low resolution.
        gate = nn.sigmoid(conv(channels, kernel=1, dtype=self.dtype, name="gate")(deep))
        joined = jnp.concatenate((up, upsample_nearest(gate, 2) * skip), axis=-1)
        x = nn.relu(conv(channels, kernel=1, dtype=self.dtype, name="merge")(joined))
        for i in range(2):
            x = Residual(dtype=self.dtype, name=f"refine{i}")(x)
        return x


class Decoder(nn.Module):
    """Decoder from knowledge and gated skips to a correction of the image. Specification, section 2.6.

    The last convolution is initially zero, so that an untrained network returns its input.

    Attributes:
        widths: channels of the network.
        dtype: computation type; parameters are float32.
    """

    widths: Widths
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, knowledge: jax.Array, half: jax.Array, full: jax.Array, image: jax.Array) -> jax.Array:
        """Estimates the transmission.

        Args:
            knowledge: knowledge features [B, H/4, W/4, C].
            half: encoder features [B, H/2, W/2, w2].
            full: encoder features [B, H, W, w1].
            image: mixture [B, H, W, 3].

        Returns:
            Transmission [B, H, W, 3], float32, not clipped.
        """
        if knowledge.shape[-1] != self.widths.quarter:
            raise ValueError(f"knowledge has {knowledge.shape[-1]} channels, expected {self.widths.quarter}")
        x = knowledge
        for i in range(4):
            x = Residual(dtype=self.dtype, name=f"deep{i}")(x)
        x = _GatedSkip(self.dtype, name="half")(x, half)
        x = _GatedSkip(self.dtype, name="full")(x, full)
        correction = conv(3, zero=True, dtype=self.dtype, name="out")(x)
        return image + correction.astype(jnp.float32)
