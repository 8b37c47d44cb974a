"""DeepLabV2 with a ResNet-101 and input at three scales (Chen et al. 2018, "DeepLab")."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from flax.typing import Dtype

from sirr_jax.errors import UserError
from sirr_jax.layers.bottleneck import bottlenecks
from sirr_jax.layers.conv import conv
from sirr_jax.layers.normalization import BatchNorm
from sirr_jax.layers.pooling import max_pool
from sirr_jax.layers.resize import resize_bilinear
from sirr_jax.models.network import Network
from sirr_jax.models.pretrained_info import PretrainedInfo
from sirr_jax.models.registry import register
from sirr_jax.models.width import scaled

# Planes, number of blocks, stride and dilation of the four residual stages.
_STAGES = ((64, 3, 1, 1), (128, 4, 2, 1), (256, 23, 1, 2), (512, 3, 1, 4))
_RATES = (6, 12, 18, 24)
_MOMENTUM = 1e-3


class SingleScale(Network):
    """ResNet-101 with output stride 8 and atrous spatial pyramid pooling: `[B, H, W, 3] -> [B, h, w, classes]`.

    The blocks are those of Caffe, with the stride in the first 1x1 convolution. See `DeepLabV2` for the attributes.
    """

    classes: int = 21
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, image: jax.Array, *, train: bool = False) -> jax.Array:
        """Computes the float32 logits of `image` [B, H, W, 3]."""
        stem = scaled(64, self.width)
        x = conv(stem, kernel=7, stride=2, bias=False, dtype=self.dtype, name="stem")(image)
        x = nn.relu(BatchNorm(momentum=_MOMENTUM, name="stem_norm")(x, train=train))
        x = max_pool(x, 3, stride=2, padding=1, ceil_mode=True)
        for stage, (planes, blocks, stride, dilation) in enumerate(_STAGES, start=1):
            x = bottlenecks(
                x,
                scaled(planes, self.width),
                number=stage,
                stride=stride,
                dilations=(dilation,) * blocks,
                train=train,
                stride_on="reduce",
                momentum=_MOMENTUM,
                dtype=self.dtype,
            )
        branches = [conv(self.classes, dilation=rate, dtype=self.dtype, name=f"aspp_rate{rate}") for rate in _RATES]
        return cast(jax.Array, sum(branch(x) for branch in branches)).astype(jnp.float32)


_CAFFE_MEAN = np.array([104.008, 116.669, 122.675], np.float32)


def _segment(module: Any, apply: Callable[[jax.Array], jax.Array], image: jax.Array) -> jax.Array:
    """BGR in 0..255 minus Caffe's mean; the network itself works at several scales."""
    del module
    bgr = image[..., ::-1] * 255.0 - jnp.asarray(_CAFFE_MEAN)[None, None, None]
    return resize_bilinear(apply(bgr), (image.shape[1], image.shape[2]))


@register(
    "deeplabv2",
    year=2017,
    verified="a PyTorch twin with the published keys",
    source=PretrainedInfo("kazuto1011/deeplab-pytorch", "MIT", "`.pth` per data set, linked in the README"),
    segment=_segment,
)
class DeepLabV2(Network):
    """Semantic segmentation network of the PyTorch re-implementation "DeepLabV2-ResNet101-MSC".

    Published weights exist for PASCAL VOC 2012 (21 classes, 0 is the background) and COCO-Stuff (182 classes). SR-Net
    specification, section 8.

    Attributes:
        width: "base" (as published) or "tiny" (narrow).
        classes: number of classes.
        scales: factors of the scales at which the image is processed, in addition to 1.
        dtype: computation type; parameters and logits stay float32.
    """

    classes: int = 21
    scales: tuple[float, ...] = (0.5, 0.75)
    dtype: Dtype = jnp.float32

    def example_shapes(self, *, size: tuple[int, int] = (64, 64)) -> tuple[tuple[int, ...], ...]:
        """Returns the shapes of the inputs, for images of about `size` (height, width)."""
        return ((1, *size, 3),)

    @nn.compact
    def __call__(self, image: jax.Array, *, train: bool = False) -> dict[str, jax.Array | tuple[jax.Array, ...]]:
        """Computes the logits of each class.

        The published training keeps the running statistics of the batch normalization fixed. To train in the same way,
        apply the network without `train`.

        Args:
            image: images [B, H, W, 3], **BGR** in 0..255 minus (104.008, 116.669, 122.675), of any size that leaves a
                pixel at the smallest scale.
            train: whether to normalize with the statistics of the batch and update the running ones, once per scale.

        Returns:
            `semantic_logits` [B, h, w, classes], the published result: the largest logits over all scales, at the
            resolution of the full scale, h = ceil(p / 2) with p = floor(ceil(H / 2) / 2) + 1. For the loss at each
            scale, `semantic_logits_scales`: the logits of the full scale, then of `scales`, each at its own resolution.

        Raises:
            UserError: The image has no pixel left at the smallest scale.
        """
        size = image.shape[1:3]
        network = SingleScale(self.width, self.classes, self.dtype, name="base")
        logits = [network(image, train=train)]
        for scale in self.scales:
            shrunk = tuple(math.floor(side * scale) for side in size)
            if min(shrunk) < 1:
                raise UserError(
                    f"image size {size[0]}x{size[1]} shrinks to nothing at scale {scale}; use a larger image"
                )
            logits.append(network(resize_bilinear(image, shrunk, scale=scale), train=train))
        largest = logits[0]
        for smaller in logits[1:]:
            largest = jnp.maximum(largest, resize_bilinear(smaller, largest.shape[1:3]))
        return {"semantic_logits": largest, "semantic_logits_scales": tuple(logits)}
