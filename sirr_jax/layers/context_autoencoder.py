"""Encoder and decoder of AttentiveGAN's contextual autoencoder, which IBCLN also uses."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.typing import Dtype

from sirr_jax.layers.conv import conv
from sirr_jax.layers.smooth_upsample import SmoothUpsample


class ContextFeatures(NamedTuple):
    """Features at three resolutions: `full` [B, H, W, c1], `half` [B, H/2, W/2, c2], `quarter` [B, H/4, W/4, c3]."""

    full: jax.Array
    half: jax.Array
    quarter: jax.Array


class ContextImages(NamedTuple):
    """Images of three channels at three resolutions; `half` and `quarter` are the side outputs."""

    full: jax.Array
    half: jax.Array
    quarter: jax.Array


class ContextEncoder(nn.Module):
    """Encoder from `[B, H, W, C]` to features at three resolutions; H and W are multiples of 4.

    Eleven convolutions with ReLU, the first 5x5; four of them have dilations of 2 to 16 for a wide receptive field.
    AttentiveGAN specification, section 2.2 (`conv1` to `conv7`); Qian et al. 2018.

    Attributes:
        channels: channels at full, half and quarter resolution.
        dtype: computation type; parameters are float32.
    """

    channels: tuple[int, int, int]
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> ContextFeatures:
        """Encodes `x` [B, H, W, C]."""
        c1, c2, c3 = self.channels
        full = nn.relu(conv(c1, kernel=5, dtype=self.dtype, name="full")(x))
        x = nn.relu(conv(c2, stride=2, dtype=self.dtype, name="down_half")(full))
        half = nn.relu(conv(c2, dtype=self.dtype, name="half")(x))
        x = nn.relu(conv(c3, stride=2, dtype=self.dtype, name="down_quarter")(half))
        for i in (1, 2):
            x = nn.relu(conv(c3, dtype=self.dtype, name=f"quarter{i}")(x))
        for dilation in (2, 4, 8, 16):
            x = nn.relu(conv(c3, dilation=dilation, dtype=self.dtype, name=f"dilated{dilation}")(x))
        return ContextFeatures(full, half, nn.relu(conv(c3, dtype=self.dtype, name="quarter3")(x)))


class ContextDecoder(nn.Module):
    """Decoder from features at three resolutions to images at three resolutions.

    The smoothed upsamplings end in a ReLU; then the encoder's features are added. The side outputs end in a ReLU.
    AttentiveGAN specification, section 2.2 (`conv8` to `output`).

    Attributes:
        last: input channels of the last convolution.
        rectified: whether a ReLU follows the image at full resolution too.
        dropout: dropout rate of the features at half resolution, in training.
        dtype: computation type; parameters are float32.
    """

    last: int
    rectified: bool = False
    dropout: float = 0.0
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, encoded: ContextFeatures, *, train: bool = False) -> ContextImages:
        """Decodes the features; with `train` and a dropout rate above 0, uses the rng `dropout`."""
        c1, c2, c3 = (features.shape[-1] for features in encoded)
        x = nn.relu(conv(c3, dtype=self.dtype, name="quarter")(encoded.quarter))
        quarter = nn.relu(conv(3, dtype=self.dtype, name="quarter_image")(x))
        x = SmoothUpsample(c2, dtype=self.dtype, name="up_half")(x) + encoded.half
        x = nn.relu(conv(c2, dtype=self.dtype, name="half")(x))
        x = nn.Dropout(self.dropout, deterministic=not train, name="dropout")(x)
        half = nn.relu(conv(3, dtype=self.dtype, name="half_image")(x))
        x = SmoothUpsample(c1, dtype=self.dtype, name="up_full")(x) + encoded.full
        x = nn.relu(conv(self.last, dtype=self.dtype, name="full")(x))
        image = conv(3, dtype=self.dtype, name="image")(x)
        return ContextImages(nn.relu(image) if self.rectified else image, half, quarter)
