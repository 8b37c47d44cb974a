"""Separation decoder and its parts. SGRRN specification, section 5.

In all classes, `axis_name` is the name of a pmapped axis over which batch statistics are averaged.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.typing import Dtype

from sirr_jax.layers.conv import conv
from sirr_jax.layers.pooling import average_pool
from sirr_jax.layers.resize import resize_bilinear, resize_nearest
from sirr_jax.models.sgrrn.conv_layer import ConvLayer
from sirr_jax.models.width import scaled


class Fusion(nn.Module):
    """Fusion of the encoder's features, from the deepest to the image, into 64 channels. Section 5.1."""

    width: str
    axis_name: str | None = None
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, features: Mapping[str, jax.Array], *, train: bool = False) -> jax.Array:
        """Fuses the features of `SharedEncoder` at the size of the image."""
        x = ConvLayer(scaled(256, self.width), axis_name=self.axis_name, dtype=self.dtype, name="out")(
            features["out"], train=train
        )
        for name, channels in (("deep", 128), ("mid", 64), ("low", 32), ("shallow", 16), ("input", 64)):
            # `out` is larger than `deep`: this resize shrinks it, as in PyTorch without a low-pass filter.
            x = resize_bilinear(x, features[name].shape[1:3])
            x = jnp.concatenate((x, features[name]), axis=-1)
            x = ConvLayer(scaled(channels, self.width), axis_name=self.axis_name, dtype=self.dtype, name=name)(
                x, train=train
            )
        for i in range(2):
            x = ConvLayer(x.shape[-1], axis_name=self.axis_name, dtype=self.dtype, name=f"refine{i}")(x, train=train)
        return conv(x.shape[-1], kernel=1, dtype=self.dtype, name="refine2")(x)


class ChannelAttention(nn.Module):
    """Residual block whose branch is gated per channel and scaled by 0.1. Section 5.2."""

    axis_name: str | None = None
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """Applies the block to `x` [B, H, W, C]; keeps the shape."""
        channels = x.shape[-1]
        y = ConvLayer(channels, axis_name=self.axis_name, dtype=self.dtype, name="conv1")(x, train=train)
        y = ConvLayer(channels, relu=False, axis_name=self.axis_name, dtype=self.dtype, name="conv2")(y, train=train)
        # Means over many pixels lose digits in bfloat16.
        mean = y.astype(jnp.float32).mean(axis=(1, 2)).astype(self.dtype)
        hidden = nn.Dense(max(channels // 8, 1), dtype=self.dtype, name="squeeze")(mean)
        gate = nn.Dense(channels, dtype=self.dtype, name="excite")(nn.leaky_relu(hidden, negative_slope=0.01))
        return x + 0.1 * y * nn.sigmoid(gate)[:, None, None, :]


class ContextPyramid(nn.Module):
    """Pyramid pooling: context from means over squares of 4, 8, 16 and 32 pixels. Section 5.3."""

    width: str
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Applies the layer to `x` [B, H, W, C], H and W at least 32; keeps the shape."""
        size = x.shape[1:3]
        levels = []
        for side in (4, 8, 16, 32):
            level = average_pool(x, side, stride=side)
            level = conv(scaled(16, self.width), kernel=1, bias=False, dtype=self.dtype, name=f"mean{side}")(level)
            levels.append(resize_nearest(nn.leaky_relu(level, negative_slope=0.2), size))
        y = jnp.concatenate((*levels, x), axis=-1)
        y = conv(x.shape[-1], kernel=1, dtype=self.dtype, name="merge")(y)
        return nn.leaky_relu(y, negative_slope=0.2)


class Guidance(nn.Module):
    """Semantic guidance of the state in two rounds: first by the classifier's features, then its logits. Section 5.4.

    Both rounds share all layers except the two that read the guidance, so that the running statistics of the shared
    layers are updated twice per training step.
    """

    axis_name: str | None = None
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(
        self, x: jax.Array, features: jax.Array, logits: jax.Array, *, train: bool = False
    ) -> tuple[jax.Array, jax.Array]:
        """Applies both rounds.

        Args:
            x: state [B, H, W, C].
            features: input of the classifier [B, h, w, 256].
            logits: logits of the classifier [B, H, W, classes].
            train: whether to normalize with the statistics of the batch.

        Returns:
            The state after each round.
        """
        channels = x.shape[-1]
        merge = ConvLayer(channels, kernel=1, relu=False, axis_name=self.axis_name, dtype=self.dtype, name="merge")
        conv1 = ConvLayer(channels, axis_name=self.axis_name, dtype=self.dtype, name="conv1")
        conv2 = ConvLayer(channels, relu=False, axis_name=self.axis_name, dtype=self.dtype, name="conv2")
        states = []
        for name, guidance in (("features", features), ("logits", logits)):
            guidance = resize_bilinear(guidance, x.shape[1:3], align_corners=True)
            query = ConvLayer(channels, axis_name=self.axis_name, dtype=self.dtype, name=f"read_{name}")(
                guidance, train=train
            )
            y = merge(jnp.concatenate((x, query), axis=-1), train=train)
            y = conv2(conv1(y, train=train), train=train)
            x = x + y * query
            states.append(x)
        return states[0], states[1]


class SeparationDecoder(nn.Module):
    """Decoder from features to background and reflection. Section 5.

    `parts` are the names of the parts in use, of "Channel", "Pyramid" and "Guidance". Initialization runs all of them,
    so that the parameters do not depend on the choice.
    """

    width: str
    parts: tuple[str, ...]
    axis_name: str | None = None
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(
        self, features: Mapping[str, jax.Array], logits: jax.Array | None, *, train: bool = False
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Decodes the encoder's features.

        Args:
            features: outputs of `SharedEncoder`, and for guidance `semantic`, the input of the classifier.
            logits: logits of the classifier [B, H, W, classes]; None without guidance.
            train: whether to normalize with the statistics of the batch.

        Returns:
            Background and reflection [B, H, W, 6], and the intermediate states [B, H, W, 64] of the parts in use:
            `fusion`, `channel`, `pyramid`, `guided_1` and `guided_2`.
        """
        all_parts = self.is_initializing()
        x = Fusion(self.width, axis_name=self.axis_name, dtype=self.dtype, name="fusion")(features, train=train)
        states = {"fusion": x}
        if all_parts or "Channel" in self.parts:
            for i in range(3):
                x = ChannelAttention(axis_name=self.axis_name, dtype=self.dtype, name=f"attention{i}")(x, train=train)
            states["channel"] = x
        if all_parts or "Pyramid" in self.parts:
            x = ContextPyramid(self.width, dtype=self.dtype, name="pyramid")(x)
            states["pyramid"] = x
        if all_parts or "Guidance" in self.parts:
            guidance = Guidance(axis_name=self.axis_name, dtype=self.dtype, name="guidance")
            states["guided_1"], x = guidance(x, features["semantic"], cast(jax.Array, logits), train=train)
            states["guided_2"] = x
        x = ConvLayer(x.shape[-1], axis_name=self.axis_name, dtype=self.dtype, name="hidden")(x, train=train)
        return conv(6, kernel=1, dtype=self.dtype, name="layers")(x), states
