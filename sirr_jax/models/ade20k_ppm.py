"""Scene parsing for ADE20K: a dilated ResNet-50 and pyramid pooling (Zhou et al. 2018; Zhao et al. 2017)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.typing import Dtype

from sirr_jax.layers.bottleneck import bottlenecks
from sirr_jax.layers.conv import conv
from sirr_jax.layers.normalization import BatchNorm
from sirr_jax.layers.padding import pad_to_multiple
from sirr_jax.layers.pooling import adaptive_average_pool, max_pool
from sirr_jax.layers.resize import resize_bilinear
from sirr_jax.models.network import Network
from sirr_jax.models.pretrained_info import PretrainedInfo
from sirr_jax.models.registry import register
from sirr_jax.models.vgg import normalize
from sirr_jax.models.width import scaled

# Planes, number of blocks, stride, dilation of the first block, dilation of the other blocks.
_STAGES = ((64, 3, 1, 1, 1), (128, 4, 2, 1, 1), (256, 6, 1, 1, 2), (512, 3, 1, 2, 4))
_BINS = (1, 2, 3, 6)
_MOMENTUM = 1e-3


class ConvNormRelu(nn.Module):
    """Convolution without bias, batch normalization and ReLU; keeps H and W at stride 1."""

    features: int
    kernel: int = 3
    stride: int = 1
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """Applies the layers to `x` [B, H, W, C]."""
        convolution = conv(
            self.features, kernel=self.kernel, stride=self.stride, bias=False, dtype=self.dtype, name="conv"
        )
        x = BatchNorm(momentum=_MOMENTUM, name="norm")(convolution(x), train=train)
        return nn.relu(x)


class ResNet50Dilated(Network):
    """ResNet-50 with a stem of three convolutions and output stride 8.

    The last two stages have dilation instead of stride; the first block of each has the dilation of the stage before.
    See `PyramidParser` for the attributes.
    """

    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, image: jax.Array, *, train: bool = False) -> tuple[jax.Array, jax.Array]:
        """Computes the features of the last two stages, [B, h, w, 1024] and [B, h, w, 2048]."""
        x = image
        for i, (features, stride) in enumerate(((64, 2), (64, 1), (128, 1)), start=1):
            features = scaled(features, self.width)
            x = ConvNormRelu(features, stride=stride, dtype=self.dtype, name=f"stem{i}")(x, train=train)
        x = max_pool(x, 3, stride=2, padding=1)
        stages = []
        for stage, (planes, blocks, stride, first_dilation, dilation) in enumerate(_STAGES, start=1):
            x = bottlenecks(
                x,
                scaled(planes, self.width),
                number=stage,
                stride=stride,
                dilations=(first_dilation, *(dilation,) * (blocks - 1)),
                train=train,
                momentum=_MOMENTUM,
                dtype=self.dtype,
            )
            stages.append(x)
        return stages[-2], stages[-1]


class PPMDecoder(Network):
    """Pyramid pooling over the last stage, and in training a second head on the stage before; see `PyramidParser`."""

    classes: int = 150
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, before: jax.Array, last: jax.Array, *, train: bool = False) -> dict[str, jax.Array]:
        """Computes the outputs of `PyramidParser`."""
        features = scaled(512, self.width)
        pyramid = [last]
        for bins in _BINS:
            x = adaptive_average_pool(last, bins)
            x = ConvNormRelu(features, kernel=1, dtype=self.dtype, name=f"bins{bins}")(x, train=train)
            pyramid.append(resize_bilinear(x, last.shape[1:3]))
        outputs = {"semantic_logits": self._head(jnp.concatenate(pyramid, axis=-1), "", train=train)}
        if train:
            outputs["semantic_logits_deepsup"] = self._head(before, "_deepsup", train=train)
        return outputs

    def _head(self, x: jax.Array, suffix: str, *, train: bool) -> jax.Array:
        features = scaled(512, self.width)
        x = ConvNormRelu(features, dtype=self.dtype, name=f"fuse{suffix}")(x, train=train)
        # Drops whole channels, as PyTorch's Dropout2d.
        x = nn.Dropout(0.1, broadcast_dims=(1, 2), deterministic=not train)(x)
        return conv(self.classes, kernel=1, dtype=self.dtype, name=f"logits{suffix}")(x).astype(jnp.float32)


def _segment(module: Any, apply: Callable[[jax.Array], jax.Array], image: jax.Array) -> jax.Array:
    """Reflect-padded at the bottom and right to multiples of 8, normalized by ImageNet's statistics; one scale."""
    del module
    padded = pad_to_multiple(image, 8)
    logits = resize_bilinear(apply(normalize(padded, "torchvision")), (padded.shape[1], padded.shape[2]))
    return logits[:, : image.shape[1], : image.shape[2]]


@register(
    "ade20k_ppm",
    year=2017,
    verified="a PyTorch twin with the published keys",
    source=PretrainedInfo(
        "CSAILVision/semantic-segmentation-pytorch", "BSD-3-Clause", "encoder and decoder `.pth`, linked in the README"
    ),
    segment=_segment,
)
class PyramidParser(Network):
    """Scene parser "ResNet50dilated + PPM_deepsup" for the 150 classes of ADE20K.

    SR-Net specification, section 8. The published decoder ends with the log-softmax of both heads in training; in
    inference it resizes the logits bilinearly (without aligned corners) to the photograph and ends with a softmax. This
    network returns the logits. Batch normalization has the published momentum, 0.001; on several GPUs the original also
    corrects the running statistics for their initial values.

    Attributes:
        width: "base" (as published) or "tiny" (narrow).
        classes: number of classes; label 0 is the first class (1 in ADE20K's files).
        dtype: computation type; parameters and logits stay float32.
    """

    classes: int = 150
    dtype: Dtype = jnp.float32

    def example_shapes(self, *, size: tuple[int, int] = (64, 64)) -> tuple[tuple[int, ...], ...]:
        """Returns the shapes of the inputs, for images of about `size` (height, width)."""
        return ((1, *size, 3),)

    @nn.compact
    def __call__(self, image: jax.Array, *, train: bool = False) -> dict[str, jax.Array]:
        """Computes the logits of each class.

        Args:
            image: images [B, H, W, 3], RGB in [0, 1], minus (0.485, 0.456, 0.406), divided by (0.229, 0.224, 0.225).
                Any size (the published inference makes H and W multiples of 8).
            train: whether to normalize with the statistics of the batch and drop channels at random (needs an rng
                "dropout"). The batch must have at least two images: with one, the coarsest pooling has no variance.

        Returns:
            `semantic_logits` [B, h, w, classes] with h = ceil(H / 8), and with `train` also
            `semantic_logits_deepsup`, of the same shape; its weight in the published loss is 0.4.
        """
        before, last = ResNet50Dilated(self.width, self.dtype, name="encoder")(image, train=train)
        return PPMDecoder(self.width, self.classes, self.dtype, name="decoder")(before, last, train=train)
