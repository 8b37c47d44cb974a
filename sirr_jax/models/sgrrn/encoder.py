"""Encoder that both tasks share: a dilated ResNet and atrous spatial pyramid pooling."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.typing import Dtype

from sirr_jax.layers.conv import conv
from sirr_jax.layers.normalization import BatchNorm
from sirr_jax.layers.resize import resize_bilinear
from sirr_jax.models.resnet import ResNet, ResNet50, ResNet101
from sirr_jax.models.width import scaled

# The dilations of the last stage differ from torchvision's and between the published networks.
BACKBONES: dict[str, tuple[type[ResNet], tuple[int, ...]]] = {
    "resnet50": (ResNet50, (1, 2, 1)),
    "resnet101": (ResNet101, (2, 2, 2)),
}
# Weight of the new batch in the running statistics of the backbone and of the semantic decoder.
SLOW_MOMENTUM = 0.0003


class Aspp(nn.Module):
    """Atrous spatial pyramid pooling (ASPP), `[B, h, w, C] -> [B, h, w, 256]`. SGRRN specification, section 3."""

    width: str
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Applies the layer to `x` [B, h, w, C]."""
        features = scaled(256, self.width)

        def branch(x: jax.Array, name: str, **options: Any) -> jax.Array:
            return nn.relu(conv(features, dtype=self.dtype, name=name, **options)(x))

        branches = [branch(x, "point", kernel=1)]
        branches += [branch(x, f"dilated{rate}", dilation=rate) for rate in (6, 12, 18)]
        # Means over many pixels lose digits in bfloat16.
        mean = x.astype(jnp.float32).mean(axis=(1, 2), keepdims=True).astype(x.dtype)
        whole = branch(mean, "whole", kernel=1)
        branches.append(jnp.broadcast_to(whole, branches[0].shape))
        if self.is_initializing():
            # The authors' network and its weight files have this layer, but do not apply it.
            BatchNorm(momentum=SLOW_MOMENTUM, name="unused_norm")(whole)
        return branch(jnp.concatenate(branches, axis=-1), "merge", kernel=1)


class SharedEncoder(nn.Module):
    """Encoder from an image to features at five depths. SGRRN specification, section 3.

    See `Generator` for the attributes.
    """

    width: str
    backbone: str
    momentum: float = SLOW_MOMENTUM
    axis_name: str | None = None
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, image: jax.Array, *, train: bool = False) -> dict[str, jax.Array]:
        """Encodes `image` [B, H, W, 3].

        Returns:
            `input` (the image), `shallow` (stride 4, 64 channels), `low` (4, 256), `mid` (8, 512), `deep` (16, 1024)
            and `out` (256 channels, 4 times the size of `deep`).
        """
        network, dilations = BACKBONES[self.backbone]
        resnet = network(
            self.width,
            output_stride=16,
            last_dilations=dilations,
            momentum=self.momentum,
            axis_name=self.axis_name,
            dtype=self.dtype,
            name="backbone",
        )(image, train=train)
        out = Aspp(self.width, dtype=self.dtype, name="aspp")(resnet["stage4"])
        size = 4 * out.shape[1], 4 * out.shape[2]
        return {
            "input": image.astype(self.dtype),
            "shallow": resnet["stem"],
            "low": resnet["stage1"],
            "mid": resnet["stage2"],
            "deep": resnet["stage3"],
            "out": resize_bilinear(out, size, align_corners=True),
        }
