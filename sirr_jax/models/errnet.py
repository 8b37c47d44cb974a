"""ERRNet (Wei et al. 2019). Baselines specification, section 4; code: github.com/Vandermode/ERRNet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.typing import Dtype

from sirr_jax.errors import UserError
from sirr_jax.layers.conv import conv
from sirr_jax.layers.conv_transpose import ConvTranspose
from sirr_jax.layers.normalization import GroupNorm
from sirr_jax.layers.pooling import average_pool
from sirr_jax.layers.residual import Residual
from sirr_jax.layers.resize import resize_bilinear, resize_nearest
from sirr_jax.models.network import Network
from sirr_jax.models.pretrained_info import PretrainedInfo
from sirr_jax.models.registry import register
from sirr_jax.models.restore_spec import Apply, Restoration, padded_image
from sirr_jax.models.width import scaled

# Layers of VGG-19 in the hypercolumn, with their channels.
HYPERCOLUMN = {"relu1_1": 64, "relu2_1": 128, "relu3_1": 256, "relu4_1": 512, "relu5_1": 512}
RESIDUALS = 13
PYRAMID = (4, 8, 16, 32)
# (channels, stride) of the discriminator's convolutions.
DISCRIMINATOR_CONVS = ((64, 1), (64, 2), (128, 1), (128, 2), (256, 1), (256, 2), (512, 1), (512, 2), (512, 1), (512, 2))


def input_channels(width: str, *, hypercolumn: bool) -> int:
    """Returns the channels of the generator's input: 1475 with a hypercolumn at width "base", 3 without."""
    return 3 + sum(scaled(channels, width) for channels in HYPERCOLUMN.values()) if hypercolumn else 3


def hypercolumn(image: jax.Array, features: Mapping[str, jax.Array]) -> jax.Array:
    """Returns the generator's input: the image with its VGG-19 features.

    Baselines specification, section 4.1.

    Args:
        image: images [B, H, W, 3], RGB in [0, 1].
        features: outputs of `Vgg19` for the same image, without the normalization that its weights were trained with:
            `relu1_1`, `relu2_1`, `relu3_1`, `relu4_1`, `relu5_1` [B, h, w, C]. No gradient flows into them.

    Returns:
        Hypercolumn [B, H, W, 1475] in the image's type: RGB, then 64, 128, 256, 512 and 512 channels, enlarged
        bilinearly.
    """
    size = image.shape[1:3]
    maps = [jax.lax.stop_gradient(features[name]).astype(image.dtype) for name in HYPERCOLUMN]
    return jnp.concatenate([image, *(resize_bilinear(x, size) for x in maps)], axis=-1)


class PyramidPooling(nn.Module):
    """Pyramid pooling: means over squares of 4, 8, 16 and 32 pixels, with a quarter of the channels each, join `x`.

    Attributes:
        dtype: computation type.
    """

    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Applies the layer to `x` [B, H, W, C], H and W at least 32; keeps the shape."""
        _, height, width, channels = x.shape
        stages = []
        for side in PYRAMID:
            # Means over many pixels lose digits in bfloat16.
            mean = average_pool(x.astype(jnp.float32), side, stride=side)
            y = conv(channels // 4, kernel=1, bias=False, dtype=self.dtype, name=f"pool{side}")(mean)
            stages.append(resize_nearest(nn.leaky_relu(y, 0.2), (height, width)))
        merged = conv(channels, kernel=1, dtype=self.dtype, name="merge")(jnp.concatenate([*stages, x], axis=-1))
        return nn.leaky_relu(merged, 0.2)


_SOURCE = PretrainedInfo("Vandermode/ERRNet", "MIT", "`errnet_060_00463920.pt`, OneDrive, linked in the README")


def _restore(networks: Mapping[str, Apply], image: jax.Array) -> dict[str, jax.Array]:
    """The image, for most generators with its VGG-19 features (of the un-normalized image, as published)."""
    padded = padded_image(image, multiple_of=2, minimum=PYRAMID[-1])
    inputs = hypercolumn(padded, networks["vgg19"](padded)) if "vgg19" in networks else padded
    return {"restored": networks["generator"](inputs)["restored"]}


def _companions(modules: Mapping[str, Any]) -> tuple[str, ...]:
    return ("vgg19",) if modules["generator"].hypercolumn else ()


@register(
    "errnet/generator",
    year=2019,
    verified="reference outputs of the original; PyTorch twin",
    source=_SOURCE,
    restore=Restoration(("generator",), _restore, _companions),
)
class Generator(Network):
    """Generator of the transmission layer from an image, usually with its hypercolumn.

    Attributes:
        width: "base" or "tiny" (narrow; takes the features of a `Vgg19` of width "tiny").
        hypercolumn: whether the input is `hypercolumn(...)`, as in the published weights, instead of the image only.
        base: whether the network is the paper's baseline, without squeeze-excite gates and pyramid pooling.
        dtype: computation type; parameters and the restored image stay float32.
    """

    hypercolumn: bool = True
    base: bool = False
    dtype: Dtype = jnp.float32

    def example_shapes(self, *, size: tuple[int, int] = (64, 64)) -> tuple[tuple[int, ...], ...]:
        """Returns the shapes of the inputs, for images of about `size` (height, width)."""
        height, width = (max(n + n % 2, PYRAMID[-1]) for n in size)
        return ((1, height, width, input_channels(self.width, hypercolumn=self.hypercolumn)),)

    @nn.compact
    def __call__(self, image: jax.Array, *, train: bool = False) -> dict[str, jax.Array]:  # noqa: ARG002
        """Estimates the transmission layer.

        Args:
            image: output [B, H, W, 1475] of `hypercolumn`, or without hypercolumn RGB images [B, H, W, 3] in [0, 1].
                H and W are at least 32, except for the baseline, and even: as in the published network, odd sizes
                become one pixel larger.
            train: no effect (the network has no dropout and no batch statistics).

        Returns:
            `restored` [B, H, W, 3] RGB, at least 0, not clipped at 1.

        Raises:
            UserError: The image is too small, or has the wrong number of channels.
        """
        _, height, width, channels = image.shape
        if not self.base and min(height, width) < PYRAMID[-1]:
            raise UserError(
                f"image size {height}x{width} is too small for ERRNet's pooling over squares of {PYRAMID[-1]} pixels; "
                f"it takes images from {PYRAMID[-1]} pixels a side"
            )
        expected = input_channels(self.width, hypercolumn=self.hypercolumn)
        if channels != expected:
            raise UserError(
                f"ERRNet's input has {channels} channels, expected {expected}; "
                "with hypercolumn=True, pass the result of `hypercolumn`, with hypercolumn=False, the image"
            )
        n, dtype = scaled(256, self.width), self.dtype
        x = nn.relu(conv(n, kernel=1, dtype=dtype, name="stem")(image))
        x = nn.relu(conv(n, dtype=dtype, name="full")(x))
        x = nn.relu(conv(n, stride=2, dtype=dtype, name="down")(x))
        for i in range(RESIDUALS):
            x = Residual(gated=not self.base, dtype=dtype, name=f"residual{i}")(x)
        x = nn.relu(ConvTranspose(n, dtype=dtype, name="up")(x))
        x = nn.relu(conv(n, dtype=dtype, name="refine")(x))
        if not self.base:
            x = PyramidPooling(dtype=dtype, name="pyramid")(x)
        # From a bias of 0, the last ReLU leaves one color of a narrow network without a gradient for most seeds.
        restored = nn.relu(conv(3, kernel=1, initial_bias=0.5, dtype=dtype, name="out")(x))
        return {"restored": restored.astype(jnp.float32)}


@register(
    "errnet/discriminator",
    year=2019,
    verified="PyTorch twin",
    source=_SOURCE._replace(weights="`netD` in the generator's file"),
)
class Discriminator(Network):
    """VGG-like discriminator with group normalization and one logit per image, for relativistic training.

    Attributes:
        width: "base" or "tiny" (narrow).
        dtype: computation type; parameters and logits stay float32.
    """

    dtype: Dtype = jnp.float32

    def example_shapes(self, *, size: tuple[int, int] = (64, 64)) -> tuple[tuple[int, ...], ...]:
        """Returns the shapes of the inputs, for images of `size` (height, width)."""
        return ((1, *size, 3),)

    @nn.compact
    def __call__(self, image: jax.Array, *, train: bool = False) -> dict[str, jax.Array]:  # noqa: ARG002
        """Computes the logits that the images are real.

        Args:
            image: images [B, H, W, 3], RGB in [0, 1], any size.
            train: no effect.

        Returns:
            `logits` [B, 1], unbounded, larger for images that look more real.
        """
        x, dtype = image, self.dtype
        groups = scaled(32, self.width)
        for i, (channels, stride) in enumerate(DISCRIMINATOR_CONVS):
            x = conv(scaled(channels, self.width), stride=stride, dtype=dtype, name=f"conv{i}")(x)
            if i:
                x = GroupNorm(groups, name=f"norm{i}")(x)
            x = nn.leaky_relu(x, 0.2)
        mean = x.astype(jnp.float32).mean(axis=(1, 2), keepdims=True)
        hidden = conv(scaled(1024, self.width), kernel=1, dtype=dtype, name="hidden")(mean)
        logits = conv(1, kernel=1, dtype=dtype, name="logits")(nn.leaky_relu(hidden, 0.2))
        return {"logits": logits[:, 0, 0].astype(jnp.float32)}
