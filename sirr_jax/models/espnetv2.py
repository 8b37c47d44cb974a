"""ESPNetv2 for semantic segmentation.

Mehta et al. 2019, "ESPNetv2: A Light-weight, Power Efficient, and General Purpose Convolutional Neural Network", with
the decoder of the authors' EdgeNets repository.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.typing import Dtype

from sirr_jax.errors import UserError
from sirr_jax.layers.conv import conv
from sirr_jax.layers.normalization import BatchNorm
from sirr_jax.layers.pooling import adaptive_average_pool, average_pool
from sirr_jax.layers.prelu import PReLU
from sirr_jax.layers.resize import resize_bilinear
from sirr_jax.models.pretrained_info import PretrainedInfo
from sirr_jax.models.registry import register
from sirr_jax.models.segment_spec import segment_square
from sirr_jax.models.vgg import normalize
from sirr_jax.models.width import scaled

_CHANNELS = {
    0.5: (16, 32, 64, 128),
    1.0: (32, 64, 128, 256),
    1.25: (32, 80, 160, 320),
    1.5: (32, 96, 192, 384),
    2.0: (32, 128, 256, 512),
}
_BRANCHES = 4
_WIDE = (1, 2, 3, 4)
# A receptive field of 9 px is too wide for the smallest maps: that branch has 3 px, and the branches stay sorted.
_NARROW = (1, 1, 2, 3)
_PYRAMID = (2.0, 1.5, 1.0, 0.5, 0.1)
_SMALLEST_MAP = 5


class Plan(NamedTuple):
    """Sizes of a network.

    Attributes:
        encoder: channels at strides 2, 4, 8 and 16.
        units: number of EESP units after the reduction to stride 8 and to stride 16.
        decoder: channels at strides 16, 8 and 4.
        pyramid: largest number of channels in a branch of a pyramid.
    """

    encoder: tuple[int, int, int, int]
    units: tuple[int, int]
    decoder: tuple[int, int, int]
    pyramid: int


def plan(width: str, scale: float) -> Plan:
    """Returns the sizes of the published network of `scale`, or for width "tiny" the smallest that its groups allow.

    Raises:
        UserError: The width or the scale is unknown.
    """
    base = scaled(16, width)
    if scale not in _CHANNELS:
        raise UserError(f"ESPNetv2 has no scale {scale!r}; choose one of {', '.join(map(str, _CHANNELS))}")
    decoder = (4 * base, 3 * base, 2 * base)
    if width == "tiny":
        return Plan((16, 32, 48, 64), (1, 1), decoder, base)
    return Plan(_CHANNELS[scale], (3, 7), decoder, base)


class NormAct(nn.Module):
    """Batch normalization and PReLU."""

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Applies the layers to `x` [B, H, W, C]; keeps the shape."""
        return PReLU(name="act")(BatchNorm(name="norm")(x, train=train))


class ConvBatchNormPReLU(nn.Module):
    """Convolution without bias, batch normalization and, with `act`, PReLU."""

    features: int
    kernel: int = 1
    stride: int = 1
    groups: int = 1
    act: bool = True
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Maps `[B, H, W, C]` to `[B, H', W', features]`."""
        layer = conv(
            self.features,
            kernel=self.kernel,
            stride=self.stride,
            groups=self.groups,
            bias=False,
            dtype=self.dtype,
            name="conv",
        )
        x = BatchNorm(name="norm")(layer(x), train=train)
        return PReLU(name="act")(x) if self.act else x


class EespUnit(nn.Module):
    """Extremely efficient spatial pyramid (EESP) of depthwise dilated convolutions (paper, section 3.1).

    Projects to a quarter of the channels, filters with each dilation, adds each branch to the one before (which removes
    the grid patterns of dilation), concatenates the branches and mixes the channels within each. With stride 1, the
    input is added before a last PReLU, so `features` must be its channels; with stride 2 there is neither.

    Attributes:
        features: output channels.
        dilations: dilation of each of the four branches.
        stride: stride of the branches.
        dtype: computation type; parameters are float32.
    """

    features: int
    dilations: tuple[int, ...]
    stride: int = 1
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Maps `[B, H, W, C]` to `[B, H', W', features]`; H' is H over the stride, rounded up."""
        channels = self.features // _BRANCHES
        low = ConvBatchNormPReLU(channels, groups=_BRANCHES, dtype=self.dtype, name="project")(x, train=train)
        sums: list[jax.Array] = []
        for i, dilation in enumerate(self.dilations):
            branch = conv(
                channels,
                stride=self.stride,
                dilation=dilation,
                groups=channels,
                bias=False,
                dtype=self.dtype,
                name=f"branch{i}",
            )
            y = branch(low)
            sums.append(y + sums[-1] if sums else y)
        y = NormAct(name="merge")(jnp.concatenate(sums, axis=-1), train=train)
        y = ConvBatchNormPReLU(self.features, groups=_BRANCHES, act=False, dtype=self.dtype, name="expand")(
            y, train=train
        )
        return y if self.stride > 1 else PReLU(name="act")(y + x)


class Reduction(nn.Module):
    """Halving of the resolution: 3x3 means beside a strided EESP unit, plus image features (section 3.2)."""

    features: int
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, image: jax.Array, *, train: bool) -> jax.Array:
        """Maps `x` [B, H, W, C] and the image at the size of the output [B, H', W', 3] to [B, H', W', features]."""
        unit = EespUnit(self.features - x.shape[-1], _WIDE, stride=2, dtype=self.dtype, name="unit")
        y = jnp.concatenate([_halve(x), unit(x, train=train)], axis=-1)
        z = ConvBatchNormPReLU(image.shape[-1], kernel=3, dtype=self.dtype, name="image_conv")(image, train=train)
        z = ConvBatchNormPReLU(self.features, act=False, dtype=self.dtype, name="image_expand")(z, train=train)
        return PReLU(name="act")(y + z)


class PyramidPool(nn.Module):
    """Efficient pyramid pooling: filters at five resolutions and merges them.

    Attributes:
        pooled: channels at each resolution.
        features: output channels.
        last: whether this is the last layer of the network, with a bias instead of normalization and PReLU.
        dtype: computation type.
    """

    pooled: int
    features: int
    last: bool = False
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Maps `[B, H, W, C]` to `[B, H, W, features]`."""
        x = ConvBatchNormPReLU(self.pooled, dtype=self.dtype, name="project")(x, train=train)
        size = x.shape[1:3]
        maps = []
        for i, scale in enumerate(_PYRAMID):
            depthwise = conv(self.pooled, groups=self.pooled, bias=False, dtype=self.dtype, name=f"scale{i}")
            height, width = (max(math.ceil(n * scale), _SMALLEST_MAP) for n in size)
            if scale > 1:
                y = depthwise(resize_bilinear(x, (height, width), align_corners=True))
                maps.append(adaptive_average_pool(y, size))
            elif scale < 1:
                y = depthwise(adaptive_average_pool(x, (height, width)))
                maps.append(resize_bilinear(y, size, align_corners=True))
            else:
                maps.append(depthwise(x))
        y = NormAct(name="merge")(jnp.concatenate(maps, axis=-1), train=train)
        # Each group of the next convolution has one channel at all resolutions.
        y = y.reshape(*y.shape[:3], len(maps), self.pooled).swapaxes(3, 4).reshape(y.shape)
        y = ConvBatchNormPReLU(self.pooled, kernel=3, groups=self.pooled, dtype=self.dtype, name="mix")(y, train=train)
        y = conv(self.features, kernel=1, bias=self.last, dtype=self.dtype, name="out")(y)
        return y if self.last else NormAct(name="out_norm")(y, train=train)


class Skip(nn.Module):
    """Skip connection: projects encoder features and weights the channels by gates from their global means."""

    features: int
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Maps `[B, H, W, C]` to `[B, H, W, features]`."""
        # Means over many pixels lose digits in bfloat16.
        mean = x.astype(jnp.float32).mean(axis=(1, 2), keepdims=True)
        gate = nn.sigmoid(conv(self.features, kernel=1, bias=False, dtype=self.dtype, name="gate")(mean))
        groups = math.gcd(x.shape[-1], self.features)
        return gate * ConvBatchNormPReLU(self.features, kernel=3, groups=groups, dtype=self.dtype, name="expand")(
            x, train=train
        )


_SIDE = {0.5: 256}  # side in px at which the published files were trained; 384 for the wider ones


def _segment(module: Any, apply: Callable[[jax.Array], jax.Array], image: jax.Array) -> jax.Array:
    """Resized to the square that the published file was trained at, normalized by ImageNet's statistics."""
    return segment_square(_SIDE.get(module.scale, 384), apply, partial(normalize, convention="torchvision"), image)


@register(
    "espnetv2",
    year=2019,
    verified="published weights and their PyTorch outputs",
    source=PretrainedInfo("sacmehta/EdgeNets", "MIT", "`espnetv2_s_*_pascal_*.pth` in the repository"),
    segment=_segment,
)
class EspNetV2(nn.Module):
    """ESPNetv2 for semantic segmentation.

    Attributes:
        width: "base", or "tiny" (one EESP unit instead of several, the fewest channels, whatever `scale`).
        scale: width factor of the published network: 0.5, 1.0, 1.25, 1.5 or 2.0.
        classes: number of classes, background included; 21 for PASCAL VOC.
        dtype: computation type; parameters and logits stay float32.

    Raises:
        UserError: The width or the scale is unknown, or `classes` is less than 2.
    """

    width: str = "base"
    scale: float = 2.0
    classes: int = 21
    dtype: Dtype = jnp.float32

    def __post_init__(self) -> None:
        plan(self.width, self.scale)
        if self.classes < 2:
            raise UserError(f"classes is {self.classes}; ESPNetv2 needs at least 2 classes")
        super().__post_init__()

    def example_shapes(self, *, size: tuple[int, int] = (64, 64)) -> tuple[tuple[int, ...], ...]:
        """Returns the shapes of the inputs, for images of `size` (height, width) rounded up to multiples of 16."""
        return ((1, *(-(-n // 16) * 16 for n in size), 3),)

    @nn.compact
    def __call__(self, image: jax.Array, *, train: bool = False) -> dict[str, jax.Array]:
        """Computes the logits of each class.

        Args:
            image: RGB images [B, H, W, 3], normalized with ImageNet's mean and deviation (`vgg.normalize`,
                "torchvision"). H and W are multiples of 16, or one less; the published weights were trained at 256x256
                (scale 0.5) and 384x384 (scale 2.0).
            train: whether to normalize with the statistics of the batch.

        Returns:
            `semantic_logits` [B, H, W, classes], before softmax.

        Raises:
            UserError: H or W is neither a multiple of 16 nor one less.
        """
        size = image.shape[1:3]
        if any(n % 16 not in (0, 15) for n in size):
            raise UserError(
                f"image size {size[0]}x{size[1]} does not fit ESPNetv2: sides must be multiples of 16 or one less; "
                "pad or resize the image"
            )
        sizes = plan(self.width, self.scale)
        maps = self._encode(image, sizes, train=train)
        pooled = min(self.classes // 2, sizes.pyramid)

        def pyramid(x: jax.Array, features: int, i: int, *, last: bool = False) -> jax.Array:
            return PyramidPool(pooled, features, last=last, dtype=self.dtype, name=f"pyramid{i}")(x, train=train)

        y = pyramid(maps.pop(), sizes.decoder[0], 1)
        for i, features in enumerate((*sizes.decoder[1:], self.classes), start=2):
            skip = maps.pop()
            y = resize_bilinear(y, skip.shape[1:3], align_corners=True)
            y = y + Skip(y.shape[-1], dtype=self.dtype, name=f"skip{i}")(skip, train=train)
            y = NormAct(name=f"fuse{i}")(y, train=train)
            y = pyramid(y, features, i, last=i == 4)
        logits = resize_bilinear(y.astype(jnp.float32), size, align_corners=True)
        return {"semantic_logits": logits}

    def _encode(self, image: jax.Array, sizes: Plan, *, train: bool) -> list[jax.Array]:
        """Computes the features at strides 2, 4, 8 and 16."""
        x = ConvBatchNormPReLU(sizes.encoder[0], kernel=3, stride=2, dtype=self.dtype, name="stem")(image, train=train)
        maps = [x]
        image = _halve(image)
        units = (0, *sizes.units)
        for level, (features, number) in enumerate(zip(sizes.encoder[1:], units, strict=True), start=2):
            image = _halve(image)
            x = Reduction(features, dtype=self.dtype, name=f"reduce{level}")(x, image, train=train)
            for i in range(number):
                dilations = _NARROW if level == 4 else _WIDE
                x = EespUnit(features, dilations, dtype=self.dtype, name=f"unit{level}_{i}")(x, train=train)
            maps.append(x)
        return maps


def _halve(x: jax.Array) -> jax.Array:
    return average_pool(x, 3, stride=2, padding=1)
