"""What refiner and restorer have in common: everything between the inputs and the last convolution."""

from __future__ import annotations

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
    """Instance normalization whose scale and shift are read off a label map, pixel by pixel (Park et al. 2019).

    `IN(x) (1 + gamma) + beta`; gamma and beta are 3x3 convolutions of 128 features of the label map. SR-Net
    specification, section 2.5 (design).
    """

    width: str = "base"
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, labels: jax.Array) -> jax.Array:
        """Normalize `x` [B, h, w, C] under `labels` [B, H, W, K], which are brought to its size."""
        labels = resize_nearest(labels, x.shape[1:3])
        hidden = nn.relu(conv(scaled(128, self.width), dtype=self.dtype, name="hidden")(labels))
        gamma = conv(x.shape[-1], dtype=self.dtype, name="gamma")(hidden)
        beta = conv(x.shape[-1], dtype=self.dtype, name="beta")(hidden)
        return instance_norm(x) * (1.0 + gamma) + beta


class ResidualBlock(nn.Module):
    """A dilated and a plain 3x3 convolution over mirrored borders, normalized, plus the input.

    SR-Net specification, section 2.3 (design). With spectral normalization the convolutions have no bias.
    """

    width: str = "base"
    spectral: bool = False
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, labels: jax.Array | None, *, train: bool) -> jax.Array:
        """Apply the block to `x` [B, h, w, C], h and w at least 3; `labels` modulate it if there are any."""
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
    """`[B, H, W, C] -> features [B, H, W, 64]` (128 under labels): two halvings, eight residual blocks, two doublings.

    SR-Net specification, section 2.3; with labels, which then modulate blocks and doublings and let the encoder's
    features pass beside them, section 2.5 (design).

    Attributes:
        width: "base" as designed, "tiny" narrow.
        spectral: whether every convolution has spectral normalization (without labels only).
        dtype: computation type.
    """

    width: str = "base"
    spectral: bool = False
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, *, labels: jax.Array | None = None, train: bool = False) -> jax.Array:
        """Apply the trunk to `x` [B, H, W, C], H and W multiples of 4 and at least 12.

        Args:
            x: image, or image and label map together.
            labels: [B, H, W, K], if they modulate.
            train: whether spectral normalization moves.
        """
        common = {"spectral": self.spectral, "train": train, "dtype": self.dtype}
        x = x.astype(self.dtype)
        labels = None if labels is None else labels.astype(self.dtype)
        wide, middle, deep = (scaled(n, self.width) for n in (64, 128, 256))
        full = nn.relu(instance_norm(convolve(reflect_pad(x, 3), wide, kernel=7, name="stem", **common)))
        halve = {"kernel": 4, "stride": 2, "padding": 1}
        half = nn.relu(instance_norm(convolve(full, middle, name="down1", **halve, **common)))
        y = nn.relu(instance_norm(convolve(half, deep, name="down2", **halve, **common)))
        for i in range(RESIDUALS):
            block = ResidualBlock(self.width, self.spectral, dtype=self.dtype, name=f"residual{i}")
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
