"""RmNet and SynNet: removal and synthesis of reflections that do not add linearly (Wen et al. 2019)."""

from __future__ import annotations

from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.typing import Dtype

from sirr_jax.errors import UserError
from sirr_jax.layers.conv import conv
from sirr_jax.layers.conv_transpose import ConvTranspose
from sirr_jax.layers.normalization import instance_norm
from sirr_jax.layers.padding import reflect_pad
from sirr_jax.models.network import Network
from sirr_jax.models.patchgan import PatchDiscriminator
from sirr_jax.models.pretrained_info import PretrainedInfo
from sirr_jax.models.registry import register
from sirr_jax.models.restore_spec import RestoreSpec
from sirr_jax.models.width import scaled

_ENCODER = (64, 128, 256, 512, 512, 512)
_SMALLEST = 64
_SMALLEST_SYNTHESIS = 5


class LayerDecoder(nn.Module):
    """Decoder from encoder features, ordered from fine to coarse, to an unbounded [B, H', W', 3]; RmNet has three.

    RmNet specification, section 2.1.
    """

    width: str
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, encoded: list[jax.Array]) -> jax.Array:
        """Decodes the features; H' and W' are twice those of the finest features."""
        *skips, y = encoded
        for depth in range(len(skips), 0, -1):
            features = scaled(_ENCODER[depth - 1], self.width)
            y = instance_norm(ConvTranspose(features, dtype=self.dtype, name=f"up{depth}")(nn.relu(y)))
            skip = skips[depth - 1]
            # Odd sizes are halved rounding down: zeros at the top and left restore the size.
            missing = (skip.shape[1] - y.shape[1], skip.shape[2] - y.shape[2])
            y = jnp.pad(y, ((0, 0), (missing[0], 0), (missing[1], 0), (0, 0)))
            y = jnp.concatenate((skip, y), axis=-1)
        return ConvTranspose(3, dtype=self.dtype, name="up0")(nn.relu(y)).astype(jnp.float32)


_SOURCE = PretrainedInfo(
    "csqiangwen/Single-Image-Reflection-Removal-Beyond-Linearity",
    "MIT",
    "three `130_net_G.pth`, Google Drive 1WbfcVGTu91yZP26o8DKCrdQhyXpHt6Fo",
)
_UNPUBLISHED = _SOURCE._replace(weights="none published")


@register(
    "rmnet/generator",
    year=2019,
    verified="reference outputs of the original; PyTorch twin",
    source=_SOURCE,
    # An odd side would lose a pixel.
    restore=RestoreSpec(
        value_range=(-1.0, 1.0), multiple_of=2, minimum=64, outputs=("restored", "reflection"), maps=("mask",)
    ),
)
class Generator(Network):
    """RmNet: one encoder and three decoders, for both layers and the mask that mixes them.

    RmNet specification, section 2.1; Wen et al. 2019.

    Attributes:
        width: "base" (as published) or "tiny" (narrow).
        dtype: computation type; parameters and outputs stay float32.
    """

    dtype: Dtype = jnp.float32

    def example_shapes(self, *, size: tuple[int, int] = (64, 64)) -> tuple[tuple[int, ...], ...]:
        """Returns the shapes of the inputs, for images of about `size` (height, width)."""
        height, width = (max(n, _SMALLEST) for n in size)
        return ((1, height, width, 3),)

    @nn.compact
    def __call__(self, image: jax.Array, *, train: bool = False) -> dict[str, jax.Array]:  # noqa: ARG002
        """Separates transmission and reflection.

        Args:
            image: images [B, H, W, 3], RGB in [-1, 1], H and W at least 64.
            train: no effect (the network has no dropout and no batch statistics).

        Returns:
            `restored` T and `reflection` R in [-1, 1], `mask` W in [0, 1]: [B, H', W', 3]; odd sizes become one pixel
            smaller, as published. The image is about T (1 - W) + R W.

        Raises:
            UserError: A side of the image is shorter than 64 px.
        """
        _, height, width, _ = image.shape
        if min(height, width) < _SMALLEST:
            raise UserError(f"image size {height}x{width} is too small; RmNet takes images from {_SMALLEST} px a side")
        encoded: list[jax.Array] = []
        last = len(_ENCODER) - 1
        for i, features in enumerate(_ENCODER):
            x = nn.leaky_relu(encoded[-1], negative_slope=0.2) if encoded else image
            layer = conv(scaled(features, self.width), kernel=4, stride=2, padding=1, dtype=self.dtype, name=f"down{i}")
            y = layer(x)
            # The published skips are after the leaky ReLU (in place); the ReLU of the decoders makes no difference.
            encoded.append(instance_norm(y) if 0 < i < last else y)
        restored, reflection, mask = (
            LayerDecoder(self.width, dtype=self.dtype, name=f"{name}_decoder")(encoded)
            for name in ("restored", "reflection", "mask")
        )
        return {"restored": jnp.tanh(restored), "reflection": jnp.tanh(reflection), "mask": nn.sigmoid(mask)}


class InstanceNormResidualBlock(nn.Module):
    """Two reflection-padded 3x3 convolutions with instance normalization, plus the input (Johnson et al. 2016)."""

    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Applies the block to `x` [B, H, W, C], H and W at least 2; keeps the shape."""
        channels = x.shape[-1]
        y = conv(channels, padding=0, dtype=self.dtype, name="conv1")(reflect_pad(x, 1))
        y = nn.relu(instance_norm(y))
        y = conv(channels, padding=0, dtype=self.dtype, name="conv2")(reflect_pad(y, 1))
        return x + instance_norm(y)


@register("rmnet/synnet", year=2019, verified="PyTorch twin", source=_UNPUBLISHED)
class SynNet(Network):
    """Two photographs [B, H, W, 6] in [-1, 1] -> the mask W with which they make a reflection: W R + (1 - W) T.

    The ResNet generator with nine blocks. RmNet specification, section 2.3; Wen et al. 2019.

    Attributes:
        width: "base" (as published) or "tiny" (narrow).
        dtype: computation type; parameters and the mask stay float32.
    """

    dtype: Dtype = jnp.float32

    def example_shapes(self, *, size: tuple[int, int] = (64, 64)) -> tuple[tuple[int, ...], ...]:
        """Returns the shapes of the inputs, for images of about `size` (height, width)."""
        height, width = (max(n, _SMALLEST_SYNTHESIS) for n in size)
        return ((1, height, width, 6),)

    @nn.compact
    def __call__(self, layers: jax.Array, *, train: bool = False) -> dict[str, jax.Array]:  # noqa: ARG002
        """Computes the mask.

        Args:
            layers: RGB of the transmission, then of the reflection, [B, H, W, 6] in [-1, 1]. The specification does not
                define the order; published weights may need the other one.
            train: no effect (the network has no dropout and no batch statistics).

        Returns:
            `mask` [B, H', W', 3] in [0, 1]; H' and W' are H and W rounded up to multiples of 4.

        Raises:
            UserError: A side is shorter than 5 px, or the input does not have six channels.
        """
        _, height, width, channels = layers.shape
        if channels != 6:
            raise UserError(f"input has {channels} channels, expected 6; SynNet takes the RGB of both layers")
        if min(height, width) < _SMALLEST_SYNTHESIS:
            raise UserError(
                f"image size {height}x{width} is too small; SynNet takes images from {_SMALLEST_SYNTHESIS} px a side"
            )
        narrow, middle, wide = (scaled(features, self.width) for features in (64, 128, 256))
        x = conv(narrow, kernel=7, padding=0, dtype=self.dtype, name="stem")(reflect_pad(layers, 3))
        x = nn.relu(instance_norm(x))
        for i, features in enumerate((middle, wide), start=1):
            x = conv(features, stride=2, padding=1, dtype=self.dtype, name=f"down{i}")(x)
            x = nn.relu(instance_norm(x))
        for i in range(9):
            x = InstanceNormResidualBlock(dtype=self.dtype, name=f"residual{i}")(x)
        for i, features in ((2, middle), (1, narrow)):
            x = ConvTranspose(features, kernel=3, output_padding=1, dtype=self.dtype, name=f"up{i}")(x)
            x = nn.relu(instance_norm(x))
        x = conv(3, kernel=7, padding=0, dtype=self.dtype, name="mask")(reflect_pad(x, 3))
        return {"mask": nn.sigmoid(x.astype(jnp.float32))}


@register("rmnet/synnet_discriminator", year=2019, verified="PyTorch twin", source=_UNPUBLISHED)
class SynNetDiscriminator(PatchDiscriminator):
    """Patch discriminator of real and synthetic reflections, for RGB images in [-1, 1], not rescaled.

    See `PatchDiscriminator` for the layers and the attributes. RmNet specification, section 2.3.
    """

    rescale: ClassVar[bool] = False
