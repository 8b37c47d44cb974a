"""Features of ResNet-50 and ResNet-101 (He et al. 2016), equal to torchvision's."""

from __future__ import annotations

from typing import Any, ClassVar

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
from sirr_jax.models.pretrained_info import PretrainedInfo
from sirr_jax.models.registry import register
from sirr_jax.models.width import scaled

_PLANES = (64, 128, 256, 512)
# Output stride -> per stage: stride, dilation of the first block, dilation of the other blocks.
_STEPS = {
    32: ((1, 1, 1), (2, 1, 1), (2, 1, 1), (2, 1, 1)),
    16: ((1, 1, 1), (2, 1, 1), (2, 1, 1), (1, 1, 2)),
    8: ((1, 1, 1), (2, 1, 1), (1, 1, 2), (1, 2, 4)),
}


class ResNet(Network):
    """Convolutional part of a bottleneck ResNet; subclasses define the number of blocks per stage.

    It takes torchvision's weights: the stride of a block is in its 3x3 convolution.

    Attributes:
        width: "base" or "tiny".
        output_stride: 32, or 16 or 8 with dilated last stages (torchvision's `replace_stride_with_dilation`).
        last_dilations: dilation of each block of the last stage; None for torchvision's.
        momentum: weight of the new batch in the running statistics.
        axis_name: name of a pmapped axis over which batch statistics are averaged, so that several devices equal one.
            It belongs to a training run, not to the model.
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
            raise UserError(f"output_stride is {self.output_stride!r}; a ResNet has output stride 32, 16 or 8")
        if self.last_dilations is not None and len(self.last_dilations) != self.blocks[-1]:
            count = self.blocks[-1]
            raise UserError(f"last_dilations is {self.last_dilations!r}; give {count} numbers, one per block")
        super().__post_init__()

    def example_shapes(self, *, size: tuple[int, int] = (64, 64)) -> tuple[tuple[int, ...], ...]:
        """Returns the shapes of the inputs, for images of `size` (height, width)."""
        return ((1, *size, 3),)

    @nn.compact
    def __call__(self, image: jax.Array, *, train: bool = False) -> dict[str, jax.Array]:
        """Computes the features of all stages.

        Args:
            image: RGB images [B, H, W, 3], normalized with ImageNet's mean and deviation (`vgg.normalize`,
                "torchvision").
            train: whether to normalize with the statistics of the batch.

        Returns:
            `stem` (after the max pooling, stride 4, 64 channels), `stage1` ... `stage4` (256, 512, 1024, 2048
            channels; strides 4, 8, 16, 32 up to `output_stride`; sizes rounded up).
        """
        x = conv(scaled(64, self.width), kernel=7, stride=2, bias=False, dtype=self.dtype, name="stem_conv")(image)
        norm: dict[str, Any] = {"momentum": self.momentum, "axis_name": self.axis_name}
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


@register(
    "resnet50",
    year=2016,
    verified="PyTorch twin; inside sgrrn",
    source=PretrainedInfo("pytorch/vision", "BSD-3-Clause", "`resnet50-19c8e357.pth`, torchvision model zoo"),
)
class ResNet50(ResNet):
    """ResNet with stages of 3, 4, 6 and 3 blocks. Weights: torchvision's `resnet50-19c8e357.pth`."""

    blocks: ClassVar[tuple[int, ...]] = (3, 4, 6, 3)


@register(
    "resnet101",
    year=2016,
    verified="PyTorch twin; inside sgrrn",
    source=PretrainedInfo("pytorch/vision", "BSD-3-Clause", "`resnet101-5d3b4d8f.pth`, torchvision model zoo"),
)
class ResNet101(ResNet):
    """ResNet with stages of 3, 4, 23 and 3 blocks. Weights: torchvision's `resnet101-5d3b4d8f.pth`."""

    blocks: ClassVar[tuple[int, ...]] = (3, 4, 23, 3)
