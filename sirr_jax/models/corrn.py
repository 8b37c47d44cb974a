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
from sirr_jax.models.width import scaled

# VGG-16: output channels and number of convolutions of each block.
_VGG16 = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
_MULTIPLE = 32
# Everywhere but in the VGG blocks, which keep torch's 1e-5.
_EPSILON = 1e-3


class Encoder(nn.Module):
    """VGG-16 with batch normalization: image -> what its five poolings answer, at 1/2 to 1/32 of the size."""

    width: str
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> list[jax.Array]:
        """Apply the encoder to `x` [B, H, W, 3]; from the finest features to the coarsest."""
        encoded = []
        for block, (features, count) in enumerate(_VGG16, start=1):
            for i in range(1, count + 1):
                x = conv(scaled(features, self.width), dtype=self.dtype, name=f"conv{block}_{i}")(x)
                x = nn.relu(BatchNorm(name=f"norm{block}_{i}")(x, train=train))
            x = max_pool(x, 2, stride=2)
            encoded.append(x)
        return encoded


class ConvBlock(nn.Module):
    """Convolution without bias, batch normalization, ReLU."""

    features: int
    kernel: int = 3
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """Apply the block to `x` [B, H, W, C]; same H and W out."""
        layer = conv(self.features, kernel=self.kernel, bias=False, dtype=self.dtype, name="conv")
        x = _not_smaller(layer, x, self.kernel)
        return nn.relu(BatchNorm(epsilon=_EPSILON, name="norm")(x, train=train))


def _not_smaller(layer: nn.Conv, x: jax.Array, kernel: int) -> jax.Array:
    """`layer(x)`, with `x` [B, H, W, C] enlarged for the while by zeros if it is smaller than the kernel.

    They are zeros that the padding would have added. On a CPU, XLA's convolution is a hundred times slower if the
    image is smaller than the kernel (7x7 at 1/16 of 96 px), and the barriers keep it from undoing the enlargement.
    """
    _, height, width, _ = x.shape
    below, right = max(kernel - height, 0), max(kernel - width, 0)
    if not below and not right:
        return layer(x)
    x = jax.lax.optimization_barrier(jnp.pad(x, ((0, 0), (0, below), (0, right), (0, 0))))
    return jax.lax.optimization_barrier(layer(x))[:, :height, :width]


class UpBlock(nn.Module):
    """Transposed 4x4 convolution without bias, batch normalization, ReLU; doubles H and W.

    The published image branch evaluates each such block several times on one input and stacks the equal answers,
    which also moves the running statistics several times per batch.

    Attributes:
        features: output channels of one evaluation.
        copies: how many evaluations stand side by side in the output.
        dtype: computation type.
    """

    features: int
    copies: int = 1
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """Apply the block to `x` [B, H, W, C] -> [B, 2H, 2W, copies * features]."""
        x = ConvTranspose(self.features, bias=False, dtype=self.dtype, name="conv")(x)
        # `copies` updates by a tenth towards the same statistics are one larger update.
        norm = BatchNorm(momentum=1 - 0.9**self.copies, epsilon=_EPSILON, name="norm")
        return jnp.tile(nn.relu(norm(x, train=train)), (1, 1, 1, self.copies))


class Inception(nn.Module):
    """Chains of `ConvBlock`s side by side, their answers stacked.

    Attributes:
        paths: for every chain its blocks, `(output channels, kernel)`.
        dtype: computation type.
    """

    paths: tuple[tuple[tuple[int, int], ...], ...]
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """Apply all chains to `x` [B, H, W, C]; same H and W out."""
        answers = []
        for i, path in enumerate(self.paths, start=1):
            y = x
            for j, (features, kernel) in enumerate(path, start=1):
                y = ConvBlock(features, kernel, dtype=self.dtype, name=f"path{i}_{j}")(y, train=train)
            answers.append(y)
        return jnp.concatenate(answers, axis=-1)


class Contour(NamedTuple):
    """What the gradient branch answers.

    Attributes:
        contour: [B, H, W, 1] in [0, 1], float32.
        enhanced: its features for the image branch, at 1/16, 1/8, 1/4 and 1/2 of the size.
    """

    contour: jax.Array
    enhanced: list[jax.Array]


class GradientBranch(nn.Module):
    """Encoder features -> the background's contours."""

    width: str
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, encoded: list[jax.Array], *, train: bool = False) -> Contour:
        """Apply the branch; it reads all encoder features but the coarsest."""

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
    """Encoder features and contours -> the background [B, H, W, 3], at least 0, float32."""

    width: str
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, encoded: list[jax.Array], guide: Contour, *, train: bool = False) -> jax.Array:
        """Apply the branch."""

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


class Generator(Network):
    """RGB [B, H, W, 3] in [0, 1] -> background, reflection and the background's contours.

    Batch normalization uses running statistics outside training. CoRRN specification, section 8; Wan et al. 2019.

    Attributes:
        width: "base" as published, "tiny" narrow.
        brightness: the published network2 multiplies the background by 1.1; network1 does not. The specification
            does not say more: here the factor comes last, and the reflection is what the brightened background leaves.
        dtype: computation type; parameters and outputs stay float32.
    """

    brightness: float = 1.0
    dtype: Dtype = jnp.float32

    def example_shapes(self, *, size: tuple[int, int] = (64, 64)) -> tuple[tuple[int, ...], ...]:
        """Shapes of the inputs for an image of about `size`."""
        height, width = (max(n + -n % _MULTIPLE, _MULTIPLE) for n in size)
        return ((1, height, width, 3),)

    @nn.compact
    def __call__(self, image: jax.Array, *, train: bool = False) -> dict[str, jax.Array]:
        """Separate the layers.

        Args:
            image: [B, H, W, 3] RGB in [0, 1], H and W multiples of 32.
            train: normalize with the statistics of the batch.

        Returns:
            `restored` B [B, H, W, 3] (at least 0, not clipped above), `reflection` I - B (may be negative) and
            `contour` [B, H, W, 1] in [0, 1].

        Raises:
            UserError: if H or W is not a multiple of 32.
        """
        _, height, width, _ = image.shape
        if height % _MULTIPLE or width % _MULTIPLE:
            raise UserError(f"image size {height}x{width}: CoRRN takes multiples of {_MULTIPLE}; pad or resize it")
        encoded = Encoder(self.width, dtype=self.dtype, name="encoder")(image, train=train)
        guide = GradientBranch(self.width, dtype=self.dtype, name="gradient_branch")(encoded, train=train)
        background = ImageBranch(self.width, dtype=self.dtype, name="image_branch")(encoded, guide, train=train)
        restored = self.brightness * background
        return {"restored": restored, "reflection": image - restored, "contour": guide.contour}
