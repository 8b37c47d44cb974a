"""Discriminator that judges patches (Isola et al. 2017)."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.typing import Dtype

from sirr_jax.layers.conv import conv


def instance_norm(x: jax.Array) -> jax.Array:
    """Normalise every channel of every image of `[B, H, W, C]`; biased variance, epsilon 1e-5, as in PyTorch."""
    y = x.astype(jnp.float32)
    mean = y.mean(axis=(1, 2), keepdims=True)
    variance = jnp.square(y - mean).mean(axis=(1, 2), keepdims=True)
    return ((y - mean) * jax.lax.rsqrt(variance + 1e-5)).astype(x.dtype)


class PatchDiscriminator(nn.Module):
    """RGB [B, H, W, 3] in [0, 1], H and W at least 32 -> one logit per patch (receptive field 70 px).

    Five 4x4 convolutions with padding 1: 64, 128, 256 (stride 2), 512, 1 (stride 1); leaky ReLU 0.2; instance
    normalisation on the middle three. Reflection-dynamics specification, section 2.8.
    """

    features: tuple[int, ...] = (64, 128, 256, 512)
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, image: jax.Array, *, train: bool = False) -> dict[str, jax.Array]:  # noqa: ARG002
        """Return `logits` [B, h, w, 1] (float32, unbounded: larger looks more real)."""
        x = image * 2.0 - 1.0
        last = len(self.features) - 1
        for i, features in enumerate(self.features):
            stride = 1 if i == last else 2
            x = conv(features, kernel=4, stride=stride, padding=1, dtype=self.dtype, name=f"conv{i}")(x)
            x = nn.leaky_relu(x if i == 0 else instance_norm(x), negative_slope=0.2)
        logits = conv(1, kernel=4, padding=1, dtype=self.dtype, name="logits")(x)
        return {"logits": logits.astype(jnp.float32)}
