"""Patch discriminator (PatchGAN; Isola et al. 2017)."""

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
    """Discriminator with one logit per patch (receptive field 70 px), for RGB images in [0, 1] from 24 px a side.

    Five 4x4 convolutions with padding 1: 64, 128, 256 (stride 2), 512, 1 (stride 1) channels; leaky ReLU 0.2; instance
    normalization on the middle three. Reflection-dynamics specification, section 2.8.

    Attributes:
        width: "base" (as published) or "tiny" (narrow).
        features: output channels of all convolutions but the last, at width "base".
        dtype: computation type; parameters and logits stay float32.
        rescale: whether the image is first mapped from [0, 1] to [-1, 1]. Not an option: subclasses for networks that
            take the image without rescaling set it to False.
    """

    features: tuple[int, ...] = (64, 128, 256, 512)
    dtype: Dtype = jnp.float32

    rescale: ClassVar[bool] = True

    def example_shapes(self, *, size: tuple[int, int] = (64, 64)) -> tuple[tuple[int, ...], ...]:
        """Returns the shapes of the inputs, for images of about `size` (height, width)."""
        height, width = (max(n, self._smallest()) for n in size)
        return ((1, height, width, 3),)

    @nn.compact
    def __call__(self, image: jax.Array, *, train: bool = False) -> dict[str, jax.Array]:  # noqa: ARG002
        """Computes the logits that the patches are real.

        Args:
            image: RGB images [B, H, W, 3].
            train: no effect (the network has no dropout and no batch statistics).

        Returns:
            `logits` [B, h, w, 1], float32, unbounded, larger for patches that look more real.

        Raises:
            UserError: The image is too small for one patch.
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
        """Returns the smallest side, which leaves three pixels after the convolutions with stride 2."""
        return 3 * 2 ** (len(self.features) - 1)
