"""The decoder that names the objects (after DeepLab v3+)."""

from __future__ import annotations

from collections.abc import Mapping

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.typing import Dtype

from sirr_jax.layers.conv import conv
from sirr_jax.layers.resize import resize_bilinear, resize_nearest
from sirr_jax.models.sgrrn.conv_norm import ConvNorm
from sirr_jax.models.sgrrn.encoder import SLOW_MOMENTUM
from sirr_jax.models.width import scaled


class SemanticDecoder(nn.Module):
    """Features -> classes. SGRRN specification, section 4."""

    width: str
    classes: int
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, features: Mapping[str, jax.Array], *, train: bool = False) -> tuple[jax.Array, jax.Array]:
        """Decode the encoder's features.

        Returns:
            What the classifier reads, 256 channels at the size of `out`; and its logits at the image's size.
        """

        def layer(name: str, channels: int, **options: int) -> ConvNorm:
            features = scaled(channels, self.width)
            return ConvNorm(features, momentum=SLOW_MOMENTUM, dtype=self.dtype, name=name, **options)

        out = features["out"]
        shortcut = layer("shortcut", 48, kernel=1)(features["low"], train=train)
        x = jnp.concatenate((out, resize_bilinear(shortcut, out.shape[1:3])), axis=-1)
        x = layer("mix1", 256)(x, train=train)
        x = nn.Dropout(0.5, deterministic=not train)(x)
        x = layer("mix2", 256)(x, train=train)
        x = nn.Dropout(0.1, deterministic=not train)(x)
        logits = conv(self.classes, kernel=1, dtype=self.dtype, name="classify")(x)
        return x, resize_nearest(logits, features["input"].shape[1:3])
