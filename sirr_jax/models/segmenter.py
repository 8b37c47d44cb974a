"""Small segmentation network of this project, so that systems guided by labels work without downloads.

The SR-Net specification requires one (section 9); the design is this project's: a U-Net (Ronneberger et al. 2015) with
group normalization, so that the output does not depend on the other images of the batch.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.typing import Dtype

from sirr_jax.errors import UserError
from sirr_jax.layers.conv import conv
from sirr_jax.layers.normalization import GroupNorm
from sirr_jax.layers.padding import pad_to_multiple
from sirr_jax.layers.resize import upsample_bilinear
from sirr_jax.layers.upsample_conv import UpsampleConv
from sirr_jax.models.network import Network
from sirr_jax.models.registry import register
from sirr_jax.models.width import scaled

FEATURES = (32, 48, 64, 96)
_DILATIONS = (2, 4)
_GROUPS = 8
_MULTIPLE = 2 ** len(FEATURES)


class ConvGroupNormReLU(nn.Module):
    """3x3 convolution, group normalization and ReLU.

    Attributes:
        features: output channels.
        stride: stride in both directions.
        dilation: dilation of the kernel.
        dtype: computation type.
    """

    features: int
    stride: int = 1
    dilation: int = 1
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps `[B, H, W, C]` to `[B, H', W', features]`; H' is H over the stride, rounded up."""
        layer = conv(
            self.features, stride=self.stride, dilation=self.dilation, bias=False, dtype=self.dtype, name="conv"
        )
        return nn.relu(GroupNorm(math.gcd(self.features, _GROUPS), name="norm")(layer(x)))


def _segment(module: Any, apply: Callable[[jax.Array], jax.Array], image: jax.Array) -> jax.Array:
    del module
    return apply(image)


@register("segmenter", year=2026, verified="NumPy transcription (our own)", segment=_segment)
class Segmenter(Network):
    """Semantic segmentation of RGB images.

    Four levels of 32, 48, 64 and 96 features, starting at half the resolution, two dilated residual blocks at the
    lowest, skip connections; the logits are upsampled bilinearly by 2.

    Attributes:
        width: "base" (0.8 M parameters), "small" (a quarter of the features) or "tiny".
        classes: number of classes, background included.
        dtype: computation type; parameters and logits stay float32.

    Raises:
        UserError: The width is unknown, or `classes` is less than 2.
    """

    classes: int = 7
    dtype: Dtype = jnp.float32

    def __post_init__(self) -> None:
        if self.classes < 2:
            raise UserError(f"classes is {self.classes}; the segmenter needs at least 2 classes")
        super().__post_init__()

    def example_shapes(self, *, size: tuple[int, int] = (64, 64)) -> tuple[tuple[int, ...], ...]:
        """Returns the shapes of the inputs, for images of `size` (height, width)."""
        return ((1, *size, 3),)

    @nn.compact
    def __call__(self, image: jax.Array, *, train: bool = False) -> dict[str, jax.Array]:  # noqa: ARG002
        """Computes the logits of each class.

        Args:
            image: images [B, H, W, 3], RGB in [0, 1], of any size.
            train: no effect (the network has no dropout and no running statistics).

        Returns:
            `semantic_logits` [B, H, W, classes], before softmax.
        """
        _, height, width, _ = image.shape
        features = [scaled(n, self.width) for n in FEATURES]

        def block(x: jax.Array, level: int, name: str, *, stride: int = 1, dilation: int = 1) -> jax.Array:
            return ConvGroupNormReLU(features[level], stride=stride, dilation=dilation, dtype=self.dtype, name=name)(x)

        x = pad_to_multiple(image * 2.0 - 1.0, _MULTIPLE).astype(self.dtype)
        skips = []
        for level in range(len(features)):
            x = block(x, level, f"enter{level}", stride=2)
            x = block(x, level, f"encode{level}")
            skips.append(x)
        x = skips.pop()
        for i, dilation in enumerate(_DILATIONS):
            y = block(x, -1, f"context{i}_1", dilation=dilation)
            x = x + block(y, -1, f"context{i}_2")
        for level in reversed(range(len(skips))):
            x = UpsampleConv(features[level], dtype=self.dtype, name=f"enlarge{level}")(x)
            x = block(jnp.concatenate([x, skips.pop()], axis=-1), level, f"decode{level}")
        logits = conv(self.classes, kernel=1, dtype=self.dtype, name="semantic_logits")(x)
        logits = upsample_bilinear(logits.astype(jnp.float32), 2)
        return {"semantic_logits": logits[:, :height, :width]}
