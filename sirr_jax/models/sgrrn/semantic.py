"""The decoder that names the objects (after DeepLab v3+)."""

from __future__ import annotations

from collections.abc import Mapping

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.typing import Dtype

from sirr_jax.layers.conv import conv
from sirr_jax.layers.resize import resize_bilinear, resize_nearest
from sirr_jax.models.sgrrn.conv_layer import ConvLayer
from sirr_jax.models.sgrrn.encoder import SLOW_MOMENTUM
from sirr_jax.models.width import scaled


class SemanticDecoder(nn.Module):
    """Features -> classes. SGRRN specification, section 4.

    `momentum` and `axis_name` as in `Generator`.
    """

    width: str
    classes: int
    momentum: float = SLOW_MOMENTUM
    axis_name: str | None = None
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(
        self, features: Mapping[str, jax.Array], *, samples: jax.Array | None = None, train: bool = False
    ) -> tuple[jax.Array, jax.Array]:
        """Decode the encoder's features.

        Args:
            features: what `Encoder` returns.
            samples: [B] integers by which the samples' dropped features differ; None for their places in the batch.
            train: normalize with the statistics of the batch; drop features.

        Returns:
            What the classifier reads, 256 channels at the size of `out`; and its logits at the image's size.
        """

        def layer(name: str, channels: int, **options: int) -> ConvLayer:
            norm = {"momentum": self.momentum, "axis_name": self.axis_name}
            return ConvLayer(scaled(channels, self.width), **norm, dtype=self.dtype, name=name, **options)

        def drop(x: jax.Array, rate: float) -> jax.Array:
            if not train:
                return x
            numbers = jnp.arange(x.shape[0]) if samples is None else samples
            keys = jax.vmap(jax.random.fold_in, in_axes=(None, 0))(self.make_rng("dropout"), numbers)
            keep = jax.vmap(lambda key: jax.random.bernoulli(key, 1.0 - rate, x.shape[1:]))(keys)
            return jnp.where(keep, x / (1.0 - rate), jnp.zeros_like(x))

        out = features["out"]
        shortcut = layer("shortcut", 48, kernel=1)(features["low"], train=train)
        x = jnp.concatenate((out, resize_bilinear(shortcut, out.shape[1:3])), axis=-1)
        x = layer("mix1", 256)(x, train=train)
        x = drop(x, 0.5)
        x = layer("mix2", 256)(x, train=train)
        x = drop(x, 0.1)
        logits = conv(self.classes, kernel=1, dtype=self.dtype, name="classify")(x)
        return x, resize_nearest(logits, features["input"].shape[1:3])
