"""Semantic decoder (after DeepLab v3+)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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
    """Decoder from features to class logits. SGRRN specification, section 4.

    See `Generator` for the attributes.
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
        """Decodes the encoder's features.

        Args:
            features: outputs of `SharedEncoder`.
            samples: integers [B] from which the dropout keys of the images are derived; None for their positions in the
                batch.
            train: whether to normalize with the statistics of the batch and apply dropout.

        Returns:
            The input of the classifier, 256 channels at the size of `out`, and its logits at the size of the image.
        """

        def layer(name: str, channels: int, **options: Any) -> ConvLayer:
            norm: dict[str, Any] = {"momentum": self.momentum, "axis_name": self.axis_name}
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
