"""CoRRN: reflection removal guided by the contours of the background (Wan et al. 2019)."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.typing import Dtype

from sirr_jax.errors import UserError
from sirr_jax.layers.conv import conv
from sirr_jax.layers.conv_transpose import ConvTranspose
from sirr_jax.layers.normalization import BatchNorm
from sirr_jax.layers.pooling import max_pool
from sirr_jax.models.network import Network
from sirr_jax.models.pretrained_info import PretrainedInfo
from sirr_jax.models.registry import register
from sirr_jax.models.restore_spec import RestoreSpec
from sirr_jax.models.width import scaled

# Output channels and number of convolutions of each block of VGG-16.
_VGG16 = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
_MULTIPLE = 32
# For all layers but the VGG blocks, which have PyTorch's 1e-5.
_EPSILON = 1e-3


class VggEncoder(nn.Module):
    """VGG-16 with batch normalization; returns the outputs of its five poolings, at 1/2 to 1/32 of the size."""

    width: str
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> list[jax.Array]:
        """Encodes `x` [B, H, W, 3]; the features are ordered from fine to coarse."""
        encoded = []
        for block, (features, count) in enumerate(_VGG16, start=1):
            for i in range(1, count + 1):
                x = conv(scaled(features, self.width), dtype=self.dtype, name=f"conv{block}_{i}")(x)
                x = nn.relu(BatchNorm(name=f"norm{block}_{i}")(x, train=train))
            x = max_pool(x, 2, stride=2)
            encoded.append(x)
        return encoded


class ConvBlock(nn.Module):
    """Convolution without bias, batch normalization and ReLU."""

    features: int
    kernel: int = 3
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """Applies the block to `x` [B, H, W, C]; keeps H and W."""
        layer = conv(self.features, kernel=self.kernel, bias=False, dtype=self.dtype, name="conv")
        x = _apply_to_small(layer, x, self.kernel)
        return nn.relu(BatchNorm(epsilon=_EPSILON, name="norm")(x, train=train))


def _apply_to_small(layer: nn.Conv, x: jax.Array, kernel: int) -> jax.Array:
    """Returns `layer(x)`, computed with zeros around `x` [B, H, W, C] if it is smaller than the kernel.

    The zeros equal the padding. On a CPU, XLA's convolution is a hundred times slower if the image is smaller than the
    kernel (7x7 at 1/16 of 96 px). The barriers keep XLA from undoing the enlargement.
    """
    _, height, width, _ = x.shape
    below, right = max(kernel - height, 0), max(kernel - width, 0)
    if not below and not right:
        return layer(x)
    x = jax.lax.optimization_barrier(jnp.pad(x, ((0, 0), (0, below), (0, right), (0, 0))))
    return jax.lax.optimization_barrier(layer(x))[:, :height, :width]


class UpBlock(nn.Module):
    """Transposed 4x4 convolution without bias, batch normalization, ReLU; doubles H and W.

    The published image branch evaluates each such block several times on one input and stacks the equal outputs, which
    also updates the running statistics several times per batch.

    Attributes:
        features: output channels of one evaluation.
        copies: number of evaluations that are stacked in the output.
        dtype: computation type.
    """

    features: int
    copies: int = 1
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """Maps `x` [B, H, W, C] to [B, 2H, 2W, copies * features]."""
        x = ConvTranspose(self.features, bias=False, dtype=self.dtype, name="conv")(x)
        # `copies` updates by a tenth towards the same statistics equal one larger update.
        norm = BatchNorm(momentum=1 - 0.9**self.copies, epsilon=_EPSILON, name="norm")
        return jnp.tile(nn.relu(norm(x, train=train)), (1, 1, 1, self.copies))


class Inception(nn.Module):
    """Parallel chains of `ConvBlock`s whose outputs are stacked.

    Attributes:
        paths: `(output channels, kernel)` of the blocks of each chain.
        dtype: computation type.
    """

    paths: tuple[tuple[tuple[int, int], ...], ...]
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """Applies all chains to `x` [B, H, W, C]; keeps H and W."""
        outputs = []
        for i, path in enumerate(self.paths, start=1):
            y = x
            for j, (features, kernel) in enumerate(path, start=1):
                y = ConvBlock(features, kernel, dtype=self.dtype, name=f"path{i}_{j}")(y, train=train)
            outputs.append(y)
        return jnp.concatenate(outputs, axis=-1)


class Contour(NamedTuple):
    """Output of the gradient branch.

    Attributes:
        contour: contours [B, H, W, 1] in [0, 1], float32.
        enhanced: features for the image branch, at 1/16, 1/8, 1/4 and 1/2 of the size.
    """

    contour: jax.Array
    enhanced: list[jax.Array]


class GradientBranch(nn.Module):
    """Decoder from encoder features to the contours of the background."""

    width: str
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, encoded: list[jax.Array], *, train: bool = False) -> Contour:
        """Computes the contours from all encoder features but the coarsest."""

        def block(x: jax.Array, features: int, kernel: int, name: str) -> jax.Array:
            return ConvBlock(scaled(features, self.width), kernel, dtype=self.dtype, name=name)(x, train=train)

        def up(x: jax.Array, features: int, name: str) -> jax.Array:
            return UpBlock(scaled(features, self.width), dtype=self.dtype, name=name)(x, train=train)

        x = block(encoded[3], 1024, 7, "bottom1")
        x = block(x, 512, 1, "bottom2")
        x = block(x, 256, 3, "refine5_1")
        x = block(x, 256, 5, "refine5_2")
        enhanced = [block(x, 128, 7, "enhance5")]
        for level, features in ((4, 128), (3, 64), (2, 32)):
            x = jnp.concatenate((x, encoded[level - 1]), axis=-1)
            x = block(x, features, 3, f"refine{level}")
            x = up(x, features, f"up{level}")
            enhanced.append(block(x, features // 2, 7, f"enhance{level}"))
        x = up(jnp.concatenate((x, encoded[0]), axis=-1), 64, "up1")
        contour = conv(1, kernel=5, dtype=self.dtype, name="contour")(x)
        return Contour(nn.sigmoid(contour.astype(jnp.float32)), enhanced)


class ImageBranch(nn.Module):
    """Decoder from encoder features and contours to the background [B, H, W, 3], at least 0, float32."""

    width: str
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, encoded: list[jax.Array], guide: Contour, *, train: bool = False) -> jax.Array:
        """Computes the background."""

        def block(x: jax.Array, features: int, name: str) -> jax.Array:
            return ConvBlock(features, dtype=self.dtype, name=name)(x, train=train)

        def inception(x: jax.Array, paths: tuple[tuple[tuple[int, int], ...], ...], name: str) -> jax.Array:
            narrow = tuple(tuple((scaled(n, self.width), kernel) for n, kernel in path) for path in paths)
            return Inception(narrow, dtype=self.dtype, name=name)(x, train=train)

        def up(x: jax.Array, features: int, name: str) -> jax.Array:
            return UpBlock(scaled(features, self.width), copies=3, dtype=self.dtype, name=name)(x, train=train)

        x = block(encoded[4], scaled(256, self.width), "bottom")
        x = inception(x, (((96, 1), (192, 7)), ((192, 3),), ((256, 1), (256, 3), (192, 3))), "inception_a")
        for i, features in enumerate((256, 128, 64, 32)):
            x = jnp.concatenate((up(x, features, f"up{i}"), encoded[3 - i], guide.enhanced[i]), axis=-1)
            if i == 1:
                short = (((128, 1), (192, 7)), ((128, 1), (192, 3)), ((128, 1), (128, 3)))
                x = inception(x, (*short, ((128, 1), (128, 3), (128, 3))), "inception_b")
        x = jnp.concatenate((up(x, 16, "up4"), guide.contour.astype(self.dtype)), axis=-1)
        x = block(x, scaled(16, self.width), "out1")
        return block(x, 3, "out2").astype(jnp.float32)


@register(
    "corrn/generator",
    year=2019,
    verified="reference outputs of the original",
    source=PretrainedInfo("wanrenjie/CoRRN", "none stated", "`*.pth.tar`, Baidu pan, linked in the README"),
    restore=RestoreSpec(multiple_of=32, outputs=("restored", "reflection"), maps=("contour",)),
)
class Generator(Network):
    """Network that estimates background, reflection and the contours of the background.

    Batch normalization uses running statistics outside training. CoRRN specification, section 8; Wan et al. 2019.

    Attributes:
        width: "base" (as published) or "tiny" (narrow).
        brightness: factor of the background: 1.1 in the published network2, 1 in network1. The specification has no
            details: here the factor is applied last, and the reflection is the image minus the scaled background.
        dtype: computation type; parameters and outputs stay float32.
    """

    brightness: float = 1.0
    dtype: Dtype = jnp.float32

    def example_shapes(self, *, size: tuple[int, int] = (64, 64)) -> tuple[tuple[int, ...], ...]:
        """Returns the shapes of the inputs, for images of about `size` (height, width)."""
        height, width = (max(n + -n % _MULTIPLE, _MULTIPLE) for n in size)
        return ((1, height, width, 3),)

    @nn.compact
    def __call__(self, image: jax.Array, *, train: bool = False) -> dict[str, jax.Array]:
        """Separates background and reflection.

        Args:
            image: images [B, H, W, 3], RGB in [0, 1], H and W multiples of 32.
            train: whether to normalize with the statistics of the batch.

        Returns:
            `restored` B [B, H, W, 3] (at least 0, not clipped above), `reflection` I - B (may be negative) and
            `contour` [B, H, W, 1] in [0, 1].

        Raises:
            UserError: H or W is not a multiple of 32.
        """
        _, height, width, _ = image.shape
        if height % _MULTIPLE or width % _MULTIPLE:
            raise UserError(f"image size {height}x{width}: CoRRN takes multiples of {_MULTIPLE}; pad or resize it")
        encoded = VggEncoder(self.width, dtype=self.dtype, name="encoder")(image, train=train)
        guide = GradientBranch(self.width, dtype=self.dtype, name="gradient_branch")(encoded, train=train)
        background = ImageBranch(self.width, dtype=self.dtype, name="image_branch")(encoded, guide, train=train)
        restored = self.brightness * background
        return {"restored": restored, "reflection": image - restored, "contour": guide.contour}
