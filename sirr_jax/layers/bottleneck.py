"""Bottleneck block of residual networks (He et al. 2016)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.typing import Dtype

from sirr_jax.errors import UserError
from sirr_jax.layers.conv import conv
from sirr_jax.layers.normalization import BatchNorm

EXPANSION = 4


class Bottleneck(nn.Module):
    """Bottleneck block: 1x1, 3x3 and 1x1 convolution, plus the input, then ReLU.

    Maps `[B, H, W, C]` to `[B, H', W', 4 * planes]`; H' is H divided by the stride, rounded up. The convolutions have
    no bias, and batch normalization follows each; ReLU follows the first two. A block without projection needs stride 1
    and C = 4 * planes.

    Attributes:
        planes: channels of the 3x3 convolution.
        stride: stride of the block.
        dilation: dilation of the 3x3 convolution.
        project: whether the shortcut is a 1x1 convolution with batch normalization, instead of the identity.
        stride_on: convolution that has the stride: "spatial", the 3x3 (torchvision, "version 1.5"), or "reduce", the
            first 1x1 (He et al.).
        momentum: weight of the new batch in the running statistics.
        axis_name: name of a pmapped axis over which batch statistics are averaged.
        dtype: computation type; parameters stay float32.
    """

    planes: int
    stride: int = 1
    dilation: int = 1
    project: bool = False
    stride_on: str = "spatial"
    momentum: float = 0.1
    axis_name: str | None = None
    dtype: Dtype = jnp.float32

    def __post_init__(self) -> None:
        if self.stride_on not in ("reduce", "spatial"):
            raise UserError(f"stride_on is {self.stride_on!r}; choose 'reduce' or 'spatial'")
        super().__post_init__()

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """Applies the block to `x` [B, H, W, C]; with `train`, normalizes with the statistics of the batch."""

        def normalized(x: jax.Array, features: int, name: str, norm: str, **options: Any) -> jax.Array:
            x = conv(features, bias=False, dtype=self.dtype, name=name, **options)(x)
            return BatchNorm(momentum=self.momentum, axis_name=self.axis_name, name=norm)(x, train=train)

        first, second = (self.stride, 1) if self.stride_on == "reduce" else (1, self.stride)
        features = EXPANSION * self.planes
        y = nn.relu(normalized(x, self.planes, "conv1", "norm1", kernel=1, stride=first))
        y = nn.relu(normalized(y, self.planes, "conv2", "norm2", stride=second, dilation=self.dilation))
        y = normalized(y, features, "conv3", "norm3", kernel=1)
        if self.project:
            x = normalized(x, features, "project_conv", "project_norm", kernel=1, stride=self.stride)
        return nn.relu(x.astype(y.dtype) + y)


def bottlenecks(
    x: jax.Array,
    planes: int,
    *,
    number: int,
    stride: int,
    dilations: Sequence[int],
    train: bool,
    **options: Any,
) -> jax.Array:
    """Applies a stage of a ResNet: one block per dilation, the first one with `stride` and a projected shortcut.

    Call it inside a compact method.

    Args:
        x: features [B, H, W, C].
        planes: channels of the 3x3 convolutions.
        number: number of the stage; the blocks are named `stage{number}_block{i}`.
        stride: stride of the first block.
        dilations: dilation of each block.
        train: whether to normalize with the statistics of the batch.
        **options: further attributes of `Bottleneck`.

    Returns:
        Features [B, H', W', 4 * planes].
    """
    for block, dilation in enumerate(dilations):
        x = Bottleneck(
            planes,
            stride=1 if block else stride,
            dilation=dilation,
            project=block == 0,
            name=f"stage{number}_block{block}",
            **options,
        )(x, train=train)
    return x
