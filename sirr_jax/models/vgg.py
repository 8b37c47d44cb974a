"""Features of VGG-16 and VGG-19 (Simonyan and Zisserman 2015)."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.typing import Dtype

from sirr_jax.errors import UserError
from sirr_jax.layers.conv import conv
from sirr_jax.layers.pooling import average_pool, max_pool
from sirr_jax.models.network import Network
from sirr_jax.models.pretrained_info import PretrainedInfo
from sirr_jax.models.registry import register
from sirr_jax.models.width import scaled

# Channels of the convolutions of each block; a 2x2 pooling separates the blocks.
VGG16_BLOCKS = ((64,) * 2, (128,) * 2, (256,) * 3, (512,) * 3, (512,) * 3)
VGG19_BLOCKS = ((64,) * 2, (128,) * 2, (256,) * 4, (512,) * 4, (512,) * 4)

_POOLS: dict[str, Callable[..., jax.Array]] = {"max": max_pool, "average": average_pool}


def convolutions(blocks: tuple[tuple[int, ...], ...]) -> dict[str, int]:
    """Returns the convolutions of a network in order, with their channels: `{"conv1_1": 64, "conv1_2": 64, ...}`."""
    return {f"conv{b}_{i}": width for b, block in enumerate(blocks, 1) for i, width in enumerate(block, 1)}


# Keras distributes the weights of VGG's authors; torchvision trained its own.
CAFFE_VGG = PretrainedInfo(
    "fchollet/deep-learning-models", "CC BY 4.0", "`vgg19_weights_tf_dim_ordering_tf_kernels*.h5`"
)
"""Provenance of weights in Keras's layout."""


class Vgg(Network):
    """Convolutional part of a VGG network, up to the last layer that the weights or the loss have.

    Attributes:
        width: "base" or "tiny" (narrow).
        layers: names of the convolutions to compute, in order from `conv1_1`; a prefix of the network.
        pool: "max", or "average" as in the perceptual loss of Zhang et al. (2018).
        pre_activations: whether to return the output of each convolution before its ReLU too.
        dtype: computation type, and that of the features; parameters stay float32.

    Raises:
        UserError: The width or the pooling is unknown, or `layers` is not a prefix.
    """

    blocks: ClassVar[tuple[tuple[int, ...], ...]] = ()

    layers: tuple[str, ...] = ()
    pool: str = "max"
    pre_activations: bool = False
    dtype: Dtype = jnp.float32

    def __post_init__(self) -> None:
        if self.pool not in _POOLS:
            raise UserError(f"there is no pooling {self.pool!r}; choose one of {', '.join(_POOLS)}")
        names = tuple(convolutions(self.blocks))
        if not self.layers or tuple(self.layers) != names[: len(self.layers)]:
            raise UserError(
                f"layers {', '.join(self.layers) or '()'} are not the first convolutions of {type(self).__name__}; "
                f"give the first few of {', '.join(names)}"
            )
        super().__post_init__()

    def example_shapes(self, *, size: tuple[int, int] = (64, 64)) -> tuple[tuple[int, ...], ...]:
        """Returns the shapes of the inputs, for images of about `size` (height, width)."""
        smallest = self._smallest()
        return ((1, max(size[0], smallest), max(size[1], smallest), 3),)

    def _smallest(self) -> int:
        """Returns the smallest side that leaves a pixel in the last block."""
        return 2 ** (_block(self.layers[-1]) - 1)

    @nn.compact
    def __call__(self, image: jax.Array, *, train: bool = False) -> dict[str, jax.Array]:  # noqa: ARG002
        """Computes the features of all layers.

        Args:
            image: images [B, H, W, 3] in the range of the weights, see `normalize`.
            train: no effect.

        Returns:
            `relu1_1`, `relu1_2`, ... for all `layers`, and with `pre_activations` also `conv1_1`, ...;
            [B, H/2^b, W/2^b, C], floored, b = block - 1.

        Raises:
            UserError: The image has no pixel left in the last block.
        """
        _, height, width, _ = image.shape
        if min(height, width) < self._smallest():
            raise UserError(
                f"image size {height}x{width} is too small for {self.layers[-1]}; "
                f"it takes images from {self._smallest()} pixels a side"
            )
        x, features, block = image, {}, 1
        channels = convolutions(self.blocks)
        for name in self.layers:
            if _block(name) != block:
                x, block = _POOLS[self.pool](x, 2, stride=2), _block(name)
            x = conv(scaled(channels[name], self.width), dtype=self.dtype, name=name)(x)
            if self.pre_activations:
                features[name] = x
            x = nn.relu(x)
            features[name.replace("conv", "relu")] = x
        return features


@register(
    "vgg16",
    year=2014,
    verified="PyTorch twin",
    source=PretrainedInfo("pytorch/vision", "BSD-3-Clause", "`vgg16-397923af.pth`, torchvision model zoo"),
)
class Vgg16(Vgg):
    """VGG-16 with thirteen convolutions, 14,714,688 parameters; see `Vgg`."""

    blocks: ClassVar[tuple[tuple[int, ...], ...]] = VGG16_BLOCKS

    layers: tuple[str, ...] = tuple(convolutions(VGG16_BLOCKS))


@register(
    "vgg19",
    year=2014,
    verified="published weights (blocks 1 to 3) and their PyTorch outputs",
    source=PretrainedInfo("pytorch/vision", "BSD-3-Clause", "`vgg19-dcbb9e9d.pth`, torchvision model zoo"),
)
class Vgg19(Vgg):
    """VGG-19 with sixteen convolutions, 20,024,384 parameters; see `Vgg`."""

    blocks: ClassVar[tuple[tuple[int, ...], ...]] = VGG19_BLOCKS

    layers: tuple[str, ...] = tuple(convolutions(VGG19_BLOCKS))


def _block(name: str) -> int:
    """Returns the number of the block: 3 for `conv3_2`."""
    return int(name.removeprefix("conv").split("_")[0])


CAFFE_SCALE = 255.0 * 0.226
"""Factor of the inputs, and with them of all features, of Caffe's weights relative to torchvision's."""


def normalize(image: jax.Array, convention: str) -> jax.Array:
    """Maps RGB images in [0, 1] to the range of a weight file's convention.

    Args:
        image: RGB images [B, H, W, 3] in [0, 1].
        convention: "torchvision" (ImageNet mean and deviation) or "caffe" (BGR, 0..255 minus the mean).

    Returns:
        Images [B, H, W, 3] in the range of the convention.
    """
    if convention == "caffe":
        mean = jnp.array([103.939, 116.779, 123.68], jnp.float32)
        return image[..., ::-1] * 255.0 - mean[None, None, None]
    mean = jnp.array([0.485, 0.456, 0.406], jnp.float32)
    deviation = jnp.array([0.229, 0.224, 0.225], jnp.float32)
    return (image - mean[None, None, None]) / deviation[None, None, None]
