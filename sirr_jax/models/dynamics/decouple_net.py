"""Decouple Net: splits the features of one frame into features of its two layers."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.typing import Dtype

from sirr_jax.layers.conv import conv
from sirr_jax.layers.residual import Residual


class DecoupleNet(nn.Module):
    """Split of f by a soft mask per channel: Psi_T from M f, Psi_R from (1 - M) f. Specification, section 2.2."""

    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, features: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Splits `features` [B, h, w, C] into (Psi_T, Psi_R), each [B, h, w, C]."""
        channels = features.shape[-1]
        hidden = nn.relu(conv(channels, dtype=self.dtype, name="mask1")(features))
        mask = nn.sigmoid(conv(channels, kernel=1, dtype=self.dtype, name="mask2")(hidden))
        psi_t, psi_r = mask * features, (1.0 - mask) * features
        for i in range(2):
            psi_t = Residual(dtype=self.dtype, name=f"transmission{i}")(psi_t)
            psi_r = Residual(dtype=self.dtype, name=f"reflection{i}")(psi_r)
        return psi_t, psi_r


class LayerHead(nn.Module):
    """Head that predicts the RGB of one layer at quarter resolution from its features. Used in training only."""

    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, psi: jax.Array) -> jax.Array:
        """Predicts the layer [B, h, w, 3] (float32, about [0, 1]) from `psi` [B, h, w, C]."""
        hidden = nn.relu(conv(psi.shape[-1] // 2, dtype=self.dtype, name="conv1")(psi))
        return conv(3, dtype=self.dtype, name="conv2")(hidden).astype(jnp.float32)
