"""BDN: transmission and reflection estimated in turn by a cascade of U-Nets (Yang et al. 2018)."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.typing import Dtype

from sirr_jax.errors import UserError
from sirr_jax.layers.conv import conv
from sirr_jax.layers.conv_transpose import ConvTranspose
from sirr_jax.layers.normalization import BatchNorm
from sirr_jax.models.network import Network
from sirr_jax.models.pretrained_info import PretrainedInfo
from sirr_jax.models.registry import register
from sirr_jax.models.restore_spec import RestoreSpec
from sirr_jax.models.width import scaled


class UNet(nn.Module):
    """pix2pix's U-Net with batch normalization: [B, H, W, C] -> [B, H, W, 3] in [-1, 1]. BDN specification, section 3.

    Attributes:
        levels: number of halvings of the resolution.
        width: "base" or "tiny".
        dtype: computation type.
    """

    levels: int
    width: str
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """Applies the network to `x` [B, H, W, C], H and W at least 2^levels."""

        def channels(depth: int) -> int:
            return scaled(min(64 * 2 ** (depth - 1), 512), self.width)

        def normalized(y: jax.Array, name: str) -> jax.Array:
            return BatchNorm(name=f"{name}_norm")(y, train=train)

        skips = [x]
        for depth in range(1, self.levels + 1):
            y = skips[-1] if depth == 1 else nn.leaky_relu(skips[-1], negative_slope=0.2)
            y = conv(channels(depth), kernel=4, stride=2, padding=1, dtype=self.dtype, name=f"down{depth}")(y)
            skips.append(normalized(y, f"down{depth}") if 1 < depth < self.levels else y)
        y = skips.pop()
        for depth in range(self.levels, 0, -1):
            features = channels(depth - 1) if depth > 1 else 3
            y = ConvTranspose(features, dtype=self.dtype, name=f"up{depth}")(nn.relu(y))
            y = normalized(y, f"up{depth}") if depth > 1 else jnp.tanh(y.astype(jnp.float32))
            skip = skips.pop()
            # Odd sizes are halved rounding down: zeros at the bottom and right restore the size.
            missing = (skip.shape[1] - y.shape[1], skip.shape[2] - y.shape[2])
            y = jnp.pad(y, ((0, 0), (0, missing[0]), (0, missing[1]), (0, 0)))
            if depth > 1:
                # The published skips are after the leaky ReLU (in place); the ReLU that follows makes no difference.
                y = jnp.concatenate((y, skip), axis=-1)
        return y


@register(
    "bdn/generator",
    year=2018,
    verified="reference outputs of the original; PyTorch twin",
    source=PretrainedInfo(
        "yangj1e/bdn-refremv", "MIT", "`model/model.pth`, Google Drive 1zBCl2qI_fT3CwPZkVvZEv37bDIlhakF6"
    ),
    # Seven halvings need 128 px.
    restore=RestoreSpec(value_range=(-1.0, 1.0), minimum=128, outputs=("restored", "reflection")),
)
class Generator(Network):
    """Cascade of U-Nets that estimate background and reflection in turn, each from the image and the last estimate.

    Batch normalization uses running statistics outside training. BDN specification, section 3; Yang et al. 2018.

    Attributes:
        width: "base" (as published) or "tiny" (narrow).
        levels: number of halvings in each U-Net, for at least two U-Nets. The first estimates a background from the
            image, the next a reflection, and so on in turn.
        dtype: computation type; parameters and outputs stay float32.
    """

    levels: tuple[int, ...] = (7, 5, 5)
    dtype: Dtype = jnp.float32

    def __post_init__(self) -> None:
        if len(self.levels) < 2 or min(self.levels) < 2:
            raise UserError(f"levels is {tuple(self.levels)}; BDN needs two or more U-Nets of two or more levels each")
        super().__post_init__()

    def example_shapes(self, *, size: tuple[int, int] = (64, 64)) -> tuple[tuple[int, ...], ...]:
        """Returns the shapes of the inputs, for images of about `size` (height, width)."""
        height, width = (max(n, 2 ** max(self.levels)) for n in size)
        return ((1, height, width, 3),)

    @nn.compact
    def __call__(self, image: jax.Array, *, train: bool = False) -> dict[str, jax.Array | tuple[jax.Array, ...]]:
        """Separates background and reflection.

        Args:
            image: images [B, H, W, 3], RGB in [-1, 1], H and W at least 2^max(levels) (128).
            train: whether to normalize with the statistics of the batch.

        Returns:
            `restored` (the last background) and `reflection` (the last reflection), [B, H, W, 3] in [-1, 1], and
            `steps`, the outputs of all U-Nets in order: by default B0, R1, B1.

        Raises:
            UserError: The image is too small for the number of halvings.
        """
        _, height, width, _ = image.shape
        smallest = 2 ** max(self.levels)
        if min(height, width) < smallest:
            raise UserError(f"image size {height}x{width} is too small; BDN takes images from {smallest} px a side")
        steps: list[jax.Array] = []
        for i, levels in enumerate(self.levels):
            x = jnp.concatenate((steps[-1], image), axis=-1) if steps else image
            steps.append(UNet(levels, self.width, dtype=self.dtype, name=f"unet{i + 1}")(x, train=train))
        backgrounds, reflections = steps[::2], steps[1::2]
        return {"restored": backgrounds[-1], "reflection": reflections[-1], "steps": tuple(steps)}
