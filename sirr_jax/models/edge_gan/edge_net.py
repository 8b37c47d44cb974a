"""Edge net: maps the Sobel map of a photograph to that of its background."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.typing import Dtype

from sirr_jax.errors import UserError
from sirr_jax.layers.conv_transpose import ConvTranspose
from sirr_jax.layers.normalization import BatchNorm
from sirr_jax.models.edge_gan.same import same_conv
from sirr_jax.models.edge_gan.source import SOURCE
from sirr_jax.models.network import Network
from sirr_jax.models.registry import register
from sirr_jax.models.width import scaled

_BLOCKS = 13


def _norm(name: str, axis_name: str | None) -> BatchNorm:
    # Keras's momentum 0.99 is the weight of the old statistics, ours that of the new batch.
    return BatchNorm(momentum=0.01, epsilon=1e-3, axis_name=axis_name, name=name)


class BatchNormResidualBlock(nn.Module):
    """Two 3x3 convolutions with batch normalization, plus the input, then ReLU. EdgeGAN specification, section 2.1.

    Attributes:
        axis_name: name of a pmapped axis over which batch statistics are averaged.
        dtype: computation type.
    """

    axis_name: str | None = None
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """Applies the block to `x` [B, H, W, C]; keeps the shape."""
        y = same_conv(x, x.shape[-1], dtype=self.dtype, name="conv1")
        y = nn.relu(_norm("conv1_norm", self.axis_name)(y, train=train))
        y = same_conv(y, x.shape[-1], dtype=self.dtype, name="conv2")
        return nn.relu(_norm("conv2_norm", self.axis_name)(y, train=train) + x)


@register("edge_gan/edge_net", year=2019, verified="reference outputs of the original", source=SOURCE)
class EdgeNet(Network):
    """Network that predicts the edges of the background from those of the photograph. Specification, section 2.1.

    Attributes:
        width: "base" (as published, 1,141,697 parameters) or "tiny" (narrow).
        axis_name: name of a pmapped axis over which batch statistics are averaged, so that several devices equal one.
            It has no effect on the variables and belongs to a training run, not to the model.
        dtype: computation type; parameters, statistics and the output stay float32.
    """

    axis_name: str | None = None
    dtype: Dtype = jnp.float32

    def example_shapes(self, *, size: tuple[int, int] = (64, 64)) -> tuple[tuple[int, ...], ...]:
        """Returns the shapes of the inputs, for images of about `size` (height, width)."""
        height, width = (n + n % 2 for n in size)
        return ((1, height, width, 1),)

    @nn.compact
    def __call__(self, sobel: jax.Array, *, train: bool = False) -> dict[str, jax.Array]:
        """Predicts the edges of the background.

        Args:
            sobel: Sobel maps of photographs [B, H, W, 1] in [0, 255]; H and W are even.
            train: whether to normalize with the statistics of the batch and update the running ones.

        Returns:
            `edge` [B, H, W, 1], about [0, 255] but not bounded.

        Raises:
            UserError: H or W is odd.
        """
        _, height, width, _ = sobel.shape
        if height % 2 or width % 2:
            raise UserError(
                f"image size {height}x{width} does not fit the edge net, which halves and doubles it; "
                "pad height and width to even numbers"
            )
        channels = scaled(64, self.width)
        x = sobel.astype(self.dtype)
        for name, stride in (("stem1", 1), ("stem2", 1), ("stem3", 2)):
            x = same_conv(x, channels, stride=stride, dtype=self.dtype, name=name)
            x = nn.relu(_norm(f"{name}_norm", self.axis_name)(x, train=train))
        for i in range(1, _BLOCKS + 1):
            x = BatchNormResidualBlock(axis_name=self.axis_name, dtype=self.dtype, name=f"res{i}")(x, train=train)
        x = ConvTranspose(channels, dtype=self.dtype, name="up")(x)
        x = nn.relu(_norm("up_norm", self.axis_name)(x, train=train))
        x = same_conv(x, channels, dtype=self.dtype, name="tail")
        x = nn.relu(_norm("tail_norm", self.axis_name)(x, train=train))
        return {"edge": same_conv(x, 1, dtype=self.dtype, name="out").astype(jnp.float32)}
