"""Trunk of refiner and restorer: all layers between the inputs and the last convolution."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.typing import Dtype

from sirr_jax.layers.conv import conv
from sirr_jax.layers.normalization import instance_norm
from sirr_jax.layers.padding import reflect_pad
from sirr_jax.layers.resize import resize_nearest
from sirr_jax.layers.upsample_conv import UpsampleConv
from sirr_jax.models.srnet.convolve import convolve
from sirr_jax.models.width import scaled

RESIDUALS = 8


class Modulation(nn.Module):
    """Instance normalization whose scale and shift are computed from a label map (SPADE; Park et al. 2019).

    `IN(x) (1 + gamma) + beta`; gamma and beta are 3x3 convolutions of 128 features of the label map. SR-Net
    specification, section 2.5 (design).
    """

    width: str = "base"
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, labels: jax.Array) -> jax.Array:
        """Normalizes `x` [B, h, w, C] with `labels` [B, H, W, K], which are resized to its size."""
        labels = resize_nearest(labels, x.shape[1:3])
        hidden = nn.relu(conv(scaled(128, self.width), dtype=self.dtype, name="hidden")(labels))
        gamma = conv(x.shape[-1], dtype=self.dtype, name="gamma")(hidden)
        beta = conv(x.shape[-1], dtype=self.dtype, name="beta")(hidden)
        return instance_norm(x) * (1.0 + gamma) + beta


class DilatedResidualBlock(nn.Module):
    """A dilated and a plain reflection-padded 3x3 convolution, each normalized, plus the input.

    SR-Net specification, section 2.3 (design). With spectral normalization the convolutions have no bias.
    """

    width: str = "base"
    spectral: bool = False
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, labels: jax.Array | None, *, train: bool) -> jax.Array:
        """Applies the block to `x` [B, h, w, C], h and w at least 3; `labels`, if any, modulate it."""
        y = x
        for i, dilation in ((1, 2), (2, 1)):
            y = convolve(
                reflect_pad(y, dilation),
                x.shape[-1],
                kernel=3,
                dilation=dilation,
                bias=not self.spectral,
                spectral=self.spectral,
                train=train,
                dtype=self.dtype,
                name=f"conv{i}",
            )
            if labels is None:
                y = instance_norm(y)
            else:
                y = Modulation(self.width, dtype=self.dtype, name=f"modulation{i}")(y, labels)
            y = nn.relu(y) if i == 1 else y
        return x + y


class Trunk(nn.Module):
    """Two halvings, eight residual blocks and two doublings: `[B, H, W, C] -> [B, H, W, 64]`, or 128 with labels.

    SR-Net specification, section 2.3. With labels, section 2.5 (design): the labels modulate blocks and doublings, and
    the encoder's features are skip connections.

    Attributes:
        width: "base" (as designed) or "tiny" (narrow).
        spectral: whether all convolutions have spectral normalization (without labels only).
        dtype: computation type.
    """

    width: str = "base"
    spectral: bool = False
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, *, labels: jax.Array | None = None, train: bool = False) -> jax.Array:
        """Applies the trunk.

        Args:
            x: images, or images and label maps, [B, H, W, C]; H and W are multiples of 4, at least 12.
            labels: label maps [B, H, W, K] for modulation; None without.
            train: whether to update the vectors of spectral normalization.
        """
        common: dict[str, Any] = {"spectral": self.spectral, "train": train, "dtype": self.dtype}
        x = x.astype(self.dtype)
        labels = None if labels is None else labels.astype(self.dtype)
        wide, middle, deep = (scaled(n, self.width) for n in (64, 128, 256))
        full = nn.relu(instance_norm(convolve(reflect_pad(x, 3), wide, kernel=7, name="stem", **common)))
        halve: dict[str, Any] = {"kernel": 4, "stride": 2, "padding": 1}
        half = nn.relu(instance_norm(convolve(full, middle, name="down1", **halve, **common)))
        y = nn.relu(instance_norm(convolve(half, deep, name="down2", **halve, **common)))
        for i in range(RESIDUALS):
            block = DilatedResidualBlock(self.width, self.spectral, dtype=self.dtype, name=f"residual{i}")
            y = block(y, labels, train=train)
        for i, features, skip in ((1, middle, half), (2, wide, full)):
            if labels is None:
                y = convolve(y, features, transposed=True, name=f"up{i}", **halve, **common)
                y = nn.relu(instance_norm(y))
            else:
                y = UpsampleConv(features, dtype=self.dtype, name=f"enlarge{i}")(y)
                y = nn.relu(Modulation(self.width, dtype=self.dtype, name=f"enlarge_modulation{i}")(y, labels))
                y = jnp.concatenate((y, skip), axis=-1)
        return y
