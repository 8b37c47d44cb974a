"""The bottleneck block of residual networks (He et al. 2016)."""

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
    """`[B, H, W, C] -> [B, H', W', 4 * planes]`: 1x1, 3x3 and 1x1 convolution, plus the input, ReLU.

    Every convolution is without bias and followed by batch normalization; ReLU after the first two. H' is H divided by
    the stride, rounded up. A block that does not project needs stride 1 and C = 4 * planes.

    Attributes:
        planes: channels of the 3x3 convolution.
        stride: step of the block.
        dilation: spacing of the 3x3 kernel's taps.
        project: whether the shortcut is a 1x1 convolution with batch normalization (else the input itself).
        stride_on: which convolution takes the step: "spatial", the 3x3 (torchvision, "version 1.5"), or "reduce", the
            first 1x1 (He et al.).
        momentum: weight of the new batch in the running statistics.
        axis_name: a pmapped axis to take batch statistics over.
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
        """Apply the block to `x` [B, H, W, C]; `train` normalizes with the batch's statistics."""

        def normalized(x: jax.Array, features: int, name: str, norm: str, **options: int) -> jax.Array:
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
    """A stage of a ResNet: one block for each of `dilations`, the first with `stride` and a projected shortcut.

    To be called inside a compact method; the blocks are called `stage{number}_block{i}`. `options` go to `Bottleneck`.
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
