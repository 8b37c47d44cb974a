"""Discriminator of photographs with and without reflections."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.typing import Dtype

from sirr_jax.errors import UserError
from sirr_jax.models.edge_gan.same import same_conv
from sirr_jax.models.edge_gan.source import SOURCE
from sirr_jax.models.network import Network
from sirr_jax.models.registry import register
from sirr_jax.models.width import scaled

_SLOPE = 0.2
_SIZE = 400
_HEADS = ("dense", "gap")


@register("edge_gan/discriminator", year=2019, verified="reference outputs of the original", source=SOURCE)
class Discriminator(Network):
    """Discriminator with one probability per image. EdgeGAN specification, section 2.4.

    An internal, unsupervised attention map weights the features of each pixel.

    Attributes:
        width: "base" (as published, 499,507 parameters) or "tiny" (narrow).
        head: "dense", as published, has the 7x7 scores of an image of 400x400 as input; "gap" (ours, for training on
            crops) has their mean and takes any size; its first dense layer has 1 input instead of 49.
        dtype: computation type; parameters and outputs stay float32.
    """

    head: str = "dense"
    dtype: Dtype = jnp.float32

    def __post_init__(self) -> None:
        if self.head not in _HEADS:
            raise UserError(f"the discriminator has no head {self.head!r}; choose one of {', '.join(_HEADS)}")
        super().__post_init__()

    def example_shapes(self, *, size: tuple[int, int] = (64, 64)) -> tuple[tuple[int, ...], ...]:
        """Returns the shapes of the inputs: 400x400 for the dense head, else `size` (height, width)."""
        height, width = (_SIZE, _SIZE) if self.head == "dense" else size
        return ((1, height, width, 3),)

    @nn.compact
    def __call__(self, image: jax.Array, *, train: bool = False) -> dict[str, jax.Array]:  # noqa: ARG002
        """Computes the probability that each image is real.

        Args:
            image: images [B, H, W, 3], RGB in [-1, 1]; 400x400 for the dense head.
            train: no effect (the network has no dropout and no batch statistics).

        Returns:
            `probability` [B, 1] in [0, 1], 1 for real; `logits` [B, 1], the values before the sigmoid.

        Raises:
            UserError: The head is dense and the image is not 400x400.
        """
        batch, height, width, _ = image.shape
        if self.head == "dense" and (height, width) != (_SIZE, _SIZE):
            raise UserError(
                f"image size {height}x{width} does not fit the discriminator, whose dense layer takes "
                f"{_SIZE}x{_SIZE}; crop or resize, or build it with head='gap'"
            )
        x = image.astype(self.dtype)
        for i, channels in enumerate((8, 16, 64, 64, 64, 64), 1):
            x = self._conv(x, scaled(channels, self.width), f"conv{i}")
        x = x * same_conv(x, 1, kernel=5, dtype=self.dtype, name="mask")
        for i, channels in ((7, scaled(64, self.width)), (8, scaled(32, self.width)), (9, 1)):
            x = self._conv(x, channels, f"conv{i}_s4", stride=4)
        x = x.reshape(batch, -1) if self.head == "dense" else x.mean(axis=(1, 2))
        x = self._dense(x, scaled(128, self.width), "fc1")
        logits = self._dense(nn.leaky_relu(x, negative_slope=_SLOPE), 1, "fc2").astype(jnp.float32)
        return {"probability": nn.sigmoid(logits), "logits": logits}

    def _conv(self, x: jax.Array, channels: int, name: str, *, stride: int = 1) -> jax.Array:
        y = same_conv(x, channels, kernel=5, stride=stride, dtype=self.dtype, name=name)
        return nn.leaky_relu(y, negative_slope=_SLOPE)

    def _dense(self, x: jax.Array, features: int, name: str) -> jax.Array:
        kernel_init = nn.initializers.glorot_uniform()
        return nn.Dense(features, kernel_init=kernel_init, dtype=self.dtype, name=name)(x)
