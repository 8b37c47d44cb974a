"""ResNet-50 and ResNet-101 features (He et al. 2016), as torchvision computes them."""

from __future__ import annotations

from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.typing import Dtype

from sirr_jax.errors import UserError
from sirr_jax.layers.bottleneck import bottlenecks
from sirr_jax.layers.conv import conv
from sirr_jax.layers.normalization import BatchNorm
from sirr_jax.layers.pooling import max_pool
from sirr_jax.models.network import Network
from sirr_jax.models.width import scaled

_PLANES = (64, 128, 256, 512)
# Output stride -> per stage: its stride, the dilation of its first block and that of the others.
_STEPS = {
    32: ((1, 1, 1), (2, 1, 1), (2, 1, 1), (2, 1, 1)),
    16: ((1, 1, 1), (2, 1, 1), (2, 1, 1), (1, 1, 2)),
    8: ((1, 1, 1), (2, 1, 1), (1, 1, 2), (1, 2, 4)),
}


class ResNet(Network):
    """The convolutional part of a bottleneck ResNet; subclasses say how many blocks a stage has.

    Takes torchvision's weights: the 3x3 convolution of a block takes its stride.

    Attributes:
        width: "base" or "tiny".
        output_stride: 32, or 16 or 8 with dilated last stages: torchvision's `replace_stride_with_dilation`.
        last_dilations: dilations of the last stage's blocks, where they are not torchvision's.
        momentum: weight of a new batch in the running statistics.
        axis_name: a pmapped axis to take batch statistics over, so that several devices equal one; it belongs to a
            training run, not to the model.
        dtype: computation type, and that of the features; parameters stay float32.
    """

    blocks: ClassVar[tuple[int, ...]]

    output_stride: int = 32
    last_dilations: tuple[int, ...] | None = None
    momentum: float = 0.1
    axis_name: str | None = None
    dtype: Dtype = jnp.float32

    def __post_init__(self) -> None:
        if self.output_stride not in _STEPS:
            raise UserError(f"a ResNet has no output stride {self.output_stride!r}; choose 32, 16 or 8")
        if self.last_dilations is not None and len(self.last_dilations) != self.blocks[-1]:
            count = self.blocks[-1]
            raise UserError(f"last_dilations is {self.last_dilations!r}; give {count} numbers, one for each block")
        super().__post_init__()

    def example_shapes(self, *, size: tuple[int, int] = (64, 64)) -> tuple[tuple[int, ...], ...]:
        """Shapes of inputs, batch 1, at `size`."""
        return ((1, *size, 3),)

    @nn.compact
    def __call__(self, image: jax.Array, *, train: bool = False) -> dict[str, jax.Array]:
        """Compute features.

        Args:
            image: [B, H, W, 3] RGB, normalized by ImageNet's mean and deviation (`vgg.normalize`, "torchvision").
            train: normalize with the statistics of the batch.

        Returns:
            `stem` (behind the maximum, stride 4, 64 channels), `stage1` ... `stage4` (256, 512, 1024, 2048
            channels; strides 4, 8, 16, 32 up to `output_stride`; sizes rounded up).
        """
        x = conv(scaled(64, self.width), kernel=7, stride=2, bias=False, dtype=self.dtype, name="stem_conv")(image)
        norm = {"momentum": self.momentum, "axis_name": self.axis_name}
        x = nn.relu(BatchNorm(**norm, name="stem_norm")(x, train=train))
        features = {"stem": max_pool(x, 3, stride=2, padding=1)}
        x = features["stem"]
        for stage, (stride, first, later) in enumerate(_STEPS[self.output_stride], start=1):
            dilations = (first, *(later,) * (self.blocks[stage - 1] - 1))
            if stage == 4 and self.last_dilations is not None:
                dilations = self.last_dilations
            planes, options = scaled(_PLANES[stage - 1], self.width), {**norm, "dtype": self.dtype}
            x = bottlenecks(x, planes, number=stage, stride=stride, dilations=dilations, train=train, **options)
            features[f"stage{stage}"] = x
        return features


class ResNet50(ResNet):
    """Stages of 3, 4, 6 and 3 blocks. Weights: torchvision's `resnet50-19c8e357.pth`."""

    blocks: ClassVar[tuple[int, ...]] = (3, 4, 6, 3)


class ResNet101(ResNet):
    """Stages of 3, 4, 23 and 3 blocks. Weights: torchvision's `resnet101-5d3b4d8f.pth`."""

    blocks: ClassVar[tuple[int, ...]] = (3, 4, 23, 3)
