"""Discriminator that judges patches (Isola et al. 2017)."""

from __future__ import annotations

from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.typing import Dtype

from sirr_jax.errors import UserError
from sirr_jax.layers.conv import conv
from sirr_jax.layers.normalization import instance_norm
from sirr_jax.models.network import Network
from sirr_jax.models.width import scaled


class PatchDiscriminator(Network):
    """RGB [B, H, W, 3] in [0, 1], H and W at least 24 -> one logit per patch (receptive field 70 px).

    Five 4x4 convolutions with padding 1: 64, 128, 256 (stride 2), 512, 1 (stride 1); leaky ReLU 0.2; instance
    normalization on the middle three. Reflection-dynamics specification, section 2.8.

    Attributes:
        width: "base" as published, "tiny" narrow.
        features: output channels of all convolutions but the last, at width "base".
        dtype: computation type; parameters and logits stay float32.
        rescale: whether the image is first mapped from [0, 1] to [-1, 1]. Not an option: subclasses that stand for
            a network which sees its image as it is set it.
    """

    features: tuple[int, ...] = (64, 128, 256, 512)
    dtype: Dtype = jnp.float32

    rescale: ClassVar[bool] = True

    def example_shapes(self, *, size: tuple[int, int] = (64, 64)) -> tuple[tuple[int, ...], ...]:
        """Shapes of the inputs for images of about `size`."""
        height, width = (max(n, self._smallest()) for n in size)
        return ((1, height, width, 3),)

    @nn.compact
    def __call__(self, image: jax.Array, *, train: bool = False) -> dict[str, jax.Array]:  # noqa: ARG002
        """Return `logits` [B, h, w, 1] (float32, unbounded: larger looks more real).

        Raises:
            UserError: if the image is too small to hold a patch.
        """
        _, height, width, _ = image.shape
        if min(height, width) < self._smallest():
            raise UserError(
                f"image size {height}x{width} is too small for a patch discriminator; "
                f"it takes images from {self._smallest()} px a side"
            )
        x = image * 2.0 - 1.0 if self.rescale else image
        last = len(self.features) - 1
        for i, features in enumerate(self.features):
            stride = 1 if i == last else 2
            channels = scaled(features, self.width)
            x = conv(channels, kernel=4, stride=stride, padding=1, dtype=self.dtype, name=f"conv{i}")(x)
            x = nn.leaky_relu(x if i == 0 else instance_norm(x), negative_slope=0.2)
        logits = conv(1, kernel=4, padding=1, dtype=self.dtype, name="logits")(x)
        return {"logits": logits.astype(jnp.float32)}

    def _smallest(self) -> int:
        """The side of which the convolutions with stride 2 leave the three pixels that the last two need."""
        return 3 * 2 ** (len(self.features) - 1)
