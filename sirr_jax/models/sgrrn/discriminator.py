"""The discriminator that looks at three scales."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.typing import Dtype

from sirr_jax.errors import UserError
from sirr_jax.layers.conv import conv
from sirr_jax.layers.padding import reflect_pad
from sirr_jax.layers.pooling import average_pool
from sirr_jax.layers.resize import resize_bilinear
from sirr_jax.models.network import Network
from sirr_jax.models.width import scaled

_SCALES = 3
# Halved twice, rounded up, and then once by a convolution: two pixels are left, the fewest that can be mirrored.
_SMALLEST = 13


class _Scale(nn.Module):
    """Patch logits [B, H // 4, W // 4, 1] at one scale."""

    width: str
    dtype: Dtype

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        for i, channels in enumerate((64, 128)):
            layer = conv(scaled(channels, self.width), kernel=4, stride=2, padding=0, dtype=self.dtype, name=f"conv{i}")
            x = nn.leaky_relu(layer(reflect_pad(x, 1)), negative_slope=0.2)
        return conv(1, kernel=1, dtype=self.dtype, name="logits")(x)


class Discriminator(Network):
    """Judges a background or a reflection by itself; the published system trains one for each.

    SGRRN specification, section 6: three networks without normalization look at the image, its half and its quarter.

    Attributes:
        width: "base" or "tiny".
        dtype: computation type; parameters and outputs stay float32.
    """

    dtype: Dtype = jnp.float32

    def example_shapes(self, *, size: tuple[int, int] = (64, 64)) -> tuple[tuple[int, ...], ...]:
        """Shapes of inputs, batch 1, at about `size`."""
        return ((1, *(max(side, _SMALLEST) for side in size), 3),)

    @nn.compact
    def __call__(self, image: jax.Array, *, train: bool = False) -> dict[str, jax.Array]:  # noqa: ARG002
        """Judge `image`, [B, H, W, 3] RGB in [-1, 1], any size from 13 px a side.

        Returns:
            `logits` [B, h, w, 1], the mean of the three scales at the size of the coarsest, where h is H halved twice,
            rounded up, and twice more, rounded down; and their sigmoid `probability`: larger looks more real.

        Raises:
            UserError: if the image is smaller.
        """
        if min(image.shape[1:3]) < _SMALLEST:
            raise UserError(
                f"sgrrn/discriminator needs images of at least {_SMALLEST}x{_SMALLEST}, not "
                f"{image.shape[1]}x{image.shape[2]}; enlarge or pad them"
            )
        total = None
        x = image
        for i in range(_SCALES):
            if i:
                x = average_pool(x, 3, stride=2, padding=1, count_padding=False)
            logits = _Scale(self.width, self.dtype, name=f"scale{i}")(x).astype(jnp.float32)
            total = logits if total is None else resize_bilinear(total, logits.shape[1:3], align_corners=True) + logits
        logits = total / _SCALES
        return {"probability": nn.sigmoid(logits), "logits": logits}
