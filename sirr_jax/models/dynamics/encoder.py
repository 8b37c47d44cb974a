"""Encoder of teacher and student; the teacher applies it to each of its three frames."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.typing import Dtype

from sirr_jax.layers.conv import conv
from sirr_jax.layers.residual import Residual
from sirr_jax.models.dynamics.widths import Widths


class EncoderFeatures(NamedTuple):
    """Features of an image: `full` [B, H, W, w1], `half` [B, H/2, W/2, w2], `quarter` [B, H/4, W/4, C]."""

    full: jax.Array
    half: jax.Array
    quarter: jax.Array


class Encoder(nn.Module):
    """Encoder from RGB in [0, 1] to features at three resolutions. Specification, section 2.1.

    Attributes:
        widths: channels of the network.
        dtype: computation type; parameters are float32.
    """

    widths: Widths
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, image: jax.Array) -> EncoderFeatures:
        """Encodes `image` [B, H, W, 3]; H and W are multiples of 4."""
        w, dtype = self.widths, self.dtype
        full = nn.relu(conv(w.full, kernel=5, dtype=dtype, name="conv1")(image))
        full = nn.relu(conv(w.full, dtype=dtype, name="conv2")(full))
        half = nn.relu(conv(w.half, stride=2, dtype=dtype, name="conv3")(full))
        for i in range(2):
            half = Residual(dtype=dtype, name=f"half{i}")(half)
        quarter = nn.relu(conv(w.quarter, stride=2, dtype=dtype, name="conv4")(half))
        for i in range(6):
            quarter = Residual(dtype=dtype, name=f"quarter{i}")(quarter)
        return EncoderFeatures(full, half, quarter)
