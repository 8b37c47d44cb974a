"""BiSeNet (Yu et al. 2018) as zllrunning/face-parsing.PyTorch published it for face parsing.

The spatial path is the first half of the ResNet-18 of the context path. SR-Net specification, section 8.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.typing import Dtype

from sirr_jax.errors import UserError
from sirr_jax.layers.conv import conv
from sirr_jax.layers.normalization import BatchNorm
from sirr_jax.layers.pooling import max_pool
from sirr_jax.layers.resize import resize_bilinear, resize_nearest
from sirr_jax.models.network import Network
from sirr_jax.models.pretrained_info import PretrainedInfo
from sirr_jax.models.registry import register
from sirr_jax.models.segment_spec import segment_square
from sirr_jax.models.vgg import normalize
from sirr_jax.models.width import scaled

_STAGES = (64, 128, 256, 512)
_CONTEXT = 128
_FUSED = 256


class ConvBatchNormReLU(nn.Module):
    """Convolution without bias, batch normalization and, with `act`, ReLU."""

    features: int
    kernel: int = 3
    stride: int = 1
    act: bool = True
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Maps `[B, H, W, C]` to `[B, H', W', features]`; H' is H over the stride, rounded up."""
        layer = conv(self.features, kernel=self.kernel, stride=self.stride, bias=False, dtype=self.dtype, name="conv")
        x = BatchNorm(name="norm")(layer(x), train=train)
        return nn.relu(x) if self.act else x


class BasicBlock(nn.Module):
    """Two 3x3 convolutions plus the input, ReLU (He et al. 2016); a projection where the shape changes."""

    features: int
    stride: int = 1
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Maps `[B, H, W, C]` to `[B, H', W', features]`."""
        y = ConvBatchNormReLU(self.features, stride=self.stride, dtype=self.dtype, name="first")(x, train=train)
        y = ConvBatchNormReLU(self.features, act=False, dtype=self.dtype, name="second")(y, train=train)
        if self.stride > 1 or x.shape[-1] != self.features:
            project = ConvBatchNormReLU(self.features, 1, self.stride, act=False, dtype=self.dtype, name="project")
            x = project(x, train=train)
        return nn.relu(x + y)


class AttentionRefinement(nn.Module):
    """Channel attention from the global mean of the features (paper, section 3.2)."""

    features: int
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Maps `[B, H, W, C]` to `[B, H, W, features]`."""
        x = ConvBatchNormReLU(self.features, dtype=self.dtype, name="refine")(x, train=train)
        gate = ConvBatchNormReLU(self.features, kernel=1, act=False, dtype=self.dtype, name="attend")(
            _mean(x), train=train
        )
        return x * nn.sigmoid(gate)


class FeatureFusion(nn.Module):
    """Fusion of spatial and context path; adds its channel-weighted result to itself (paper, section 3.3)."""

    features: int
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, spatial: jax.Array, context: jax.Array, *, train: bool) -> jax.Array:
        """Fuses two maps of the same size into [B, H, W, features]."""
        x = jnp.concatenate([spatial, context], axis=-1)
        x = ConvBatchNormReLU(self.features, kernel=1, dtype=self.dtype, name="merge")(x, train=train)
        hidden = nn.relu(conv(self.features // 4, kernel=1, bias=False, dtype=self.dtype, name="squeeze")(_mean(x)))
        return x + x * nn.sigmoid(conv(self.features, kernel=1, bias=False, dtype=self.dtype, name="excite")(hidden))


class Head(nn.Module):
    """Segmentation head; enlarges the logits to the size of the image."""

    hidden: int
    classes: int
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, size: Sequence[int], *, train: bool) -> jax.Array:
        """Maps `[B, h, w, C]` to float32 logits `[B, *size, classes]`."""
        x = ConvBatchNormReLU(self.hidden, dtype=self.dtype, name="hidden")(x, train=train)
        x = conv(self.classes, kernel=1, bias=False, dtype=self.dtype, name="logits")(x)
        return resize_bilinear(x.astype(jnp.float32), size, align_corners=True)


def _segment(module: Any, apply: Callable[[jax.Array], jax.Array], image: jax.Array) -> jax.Array:
    """Resized to 512x512, normalized by ImageNet's statistics."""
    del module
    return segment_square(512, apply, partial(normalize, convention="torchvision"), image)


@register(
    "bisenet",
    year=2018,
    verified="a PyTorch twin with the published keys",
    source=PretrainedInfo("zllrunning/face-parsing.PyTorch", "MIT", "`79999_iter.pth`, linked in the README"),
    segment=_segment,
)
class BiSeNet(Network):
    """Semantic segmentation; by default the 19 face classes of CelebAMask-HQ.

    Attributes:
        width: "base" or "tiny".
        classes: number of classes, background included.
        dtype: computation type; parameters and logits stay float32.

    Raises:
        UserError: The width is unknown, or `classes` is less than 1.
    """

    classes: int = 19
    dtype: Dtype = jnp.float32

    def __post_init__(self) -> None:
        if self.classes < 1:
            raise UserError(f"classes is {self.classes}; BiSeNet needs at least 1 class")
        super().__post_init__()

    def example_shapes(self, *, size: tuple[int, int] = (64, 64)) -> tuple[tuple[int, ...], ...]:
        """Returns the shapes of the inputs, for images of `size` (height, width)."""
        return ((1, *size, 3),)

    @nn.compact
    def __call__(self, image: jax.Array, *, train: bool = False) -> dict[str, jax.Array]:
        """Computes the logits of each class.

        Args:
            image: RGB images [B, H, W, 3] of any size (the published weights expect 512x512), normalized with
                ImageNet's mean and deviation (`vgg.normalize`, "torchvision").
            train: whether to normalize with the statistics of the batch, which needs at least two images, and to
                compute the auxiliary logits.

        Returns:
            `semantic_logits` [B, H, W, classes], before softmax; in training also `semantic_logits_16` and
            `semantic_logits_32` of the same shape, from the maps of stride 16 and 32 of the context path.
        """
        size = image.shape[1:3]
        spatial, middle, coarse = self._backbone(image, train=train)
        features = scaled(_CONTEXT, self.width)

        def attend(x: jax.Array, stride: int) -> jax.Array:
            return AttentionRefinement(features, dtype=self.dtype, name=f"attention{stride}")(x, train=train)

        def enlarge(x: jax.Array, like: jax.Array, stride: int) -> jax.Array:
            x = resize_nearest(x, like.shape[1:3])
            return ConvBatchNormReLU(features, dtype=self.dtype, name=f"enlarge{stride}")(x, train=train)

        scene = ConvBatchNormReLU(features, kernel=1, dtype=self.dtype, name="scene")(_mean(coarse), train=train)
        context32 = enlarge(attend(coarse, 32) + scene, middle, 32)
        context16 = enlarge(attend(middle, 16) + context32, spatial, 16)
        fused = FeatureFusion(scaled(_FUSED, self.width), dtype=self.dtype, name="fusion")(
            spatial, context16, train=train
        )

        def head(x: jax.Array, hidden: int, name: str) -> jax.Array:
            return Head(scaled(hidden, self.width), self.classes, dtype=self.dtype, name=name)(x, size, train=train)

        outputs = {"semantic_logits": head(fused, 256, "head")}
        if train:
            outputs["semantic_logits_16"] = head(context16, 64, "head16")
            outputs["semantic_logits_32"] = head(context32, 64, "head32")
        return outputs

    def _backbone(self, image: jax.Array, *, train: bool) -> list[jax.Array]:
        """Computes the features of ResNet-18 at strides 8, 16 and 32."""
        stem = ConvBatchNormReLU(scaled(_STAGES[0], self.width), kernel=7, stride=2, dtype=self.dtype, name="stem")
        x = max_pool(stem(image, train=train), 3, stride=2, padding=1)
        maps = []
        for stage, channels in enumerate(_STAGES, start=1):
            for i in range(2):
                stride = 2 if stage > 1 and i == 0 else 1
                block = BasicBlock(scaled(channels, self.width), stride, dtype=self.dtype, name=f"block{stage}_{i}")
                x = block(x, train=train)
            maps.append(x)
        return maps[1:]


def _mean(x: jax.Array) -> jax.Array:
    # Means over many pixels lose digits in bfloat16.
    return x.astype(jnp.float32).mean(axis=(1, 2), keepdims=True)
