"""Discriminator at three scales."""

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
from sirr_jax.models.registry import register
from sirr_jax.models.sgrrn.source import SOURCE
from sirr_jax.models.width import scaled

_SCALES = 3
# Two halvings, rounded up, and a convolution with stride 2 leave two pixels, the minimum for reflection padding.
_SMALLEST = 13


class _Scale(nn.Module):
    """Patch discriminator at one scale; returns logits [B, H // 4, W // 4, 1]."""

    width: str
    dtype: Dtype

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        for i, channels in enumerate((64, 128)):
            layer = conv(scaled(channels, self.width), kernel=4, stride=2, padding=0, dtype=self.dtype, name=f"conv{i}")
            x = nn.leaky_relu(layer(reflect_pad(x, 1)), negative_slope=0.2)
        return conv(1, kernel=1, dtype=self.dtype, name="logits")(x)


@register("sgrrn/discriminator", year=2019, verified="reference outputs of the original", source=SOURCE)
class Discriminator(Network):
    """Discriminator of backgrounds or of reflections; the published system trains one for each.

    SGRRN specification, section 6: three networks without normalization, for the full, half and quarter resolution.

    Attributes:
        width: "base" or "tiny".
        dtype: computation type; parameters and outputs stay float32.
    """

    dtype: Dtype = jnp.float32

    def example_shapes(self, *, size: tuple[int, int] = (64, 64)) -> tuple[tuple[int, ...], ...]:
        """Returns the shapes of the inputs, for images of about `size` (height, width)."""
        return ((1, *(max(side, _SMALLEST) for side in size), 3),)

    @nn.compact
    def __call__(self, image: jax.Array, *, train: bool = False) -> dict[str, jax.Array]:  # noqa: ARG002
        """Computes the probability that the patches are real.

        Args:
            image: images [B, H, W, 3], RGB in [-1, 1], any size from 13 px a side.
            train: no effect (the network has no dropout and no batch statistics).

        Returns:
            `logits` [B, h, w, 1], the mean of the three scales at the size of the coarsest, where h is H halved twice,
            rounded up, and twice more, rounded down; and `probability`, their sigmoid, larger for patches that look
            more real.

        Raises:
            UserError: The image is smaller than 13x13.
        """
        if min(image.shape[1:3]) < _SMALLEST:
            raise UserError(
                f"sgrrn/discriminator needs images of at least {_SMALLEST}x{_SMALLEST}, not "
                f"{image.shape[1]}x{image.shape[2]}; enlarge or pad them"
            )
        x = image
        total = self._scale_logits(x, 0)
        for i in range(1, _SCALES):
            x = average_pool(x, 3, stride=2, padding=1, count_padding=False)
            logits = self._scale_logits(x, i)
            total = resize_bilinear(total, logits.shape[1:3], align_corners=True) + logits
        logits = total / _SCALES
        return {"probability": nn.sigmoid(logits), "logits": logits}

    def _scale_logits(self, x: jax.Array, scale: int) -> jax.Array:
        return _Scale(self.width, self.dtype, name=f"scale{scale}")(x).astype(jnp.float32)
