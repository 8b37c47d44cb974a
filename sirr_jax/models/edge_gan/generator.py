"""Generator: a smaller version of AttentiveGAN's autoencoder."""

from __future__ import annotations

from collections.abc import Mapping

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.typing import Dtype

from sirr_jax.errors import UserError
from sirr_jax.layers.conv_transpose import ConvTranspose
from sirr_jax.layers.pooling import max_pool
from sirr_jax.models.edge_gan import forward
from sirr_jax.models.edge_gan.maps import check_aux_scale, scale_maps
from sirr_jax.models.edge_gan.same import same_conv, same_padding
from sirr_jax.models.edge_gan.source import SOURCE
from sirr_jax.models.network import Network
from sirr_jax.models.registry import register
from sirr_jax.models.restore_spec import Apply, Restoration, padded_image
from sirr_jax.models.width import scaled

_SLOPE = 0.3


def _restore(networks: Mapping[str, Apply], image: jax.Array) -> dict[str, jax.Array]:
    """The maps, trained towards 0..255 and unbounded, are scaled for display."""
    outputs = forward.restore(networks, padded_image(image, multiple_of=4))
    maps = {name: outputs[name] / 255.0 for name in ("edge", "attention")}
    return {"restored": outputs["restored"]} | maps


@register(
    "edge_gan/generator",
    year=2019,
    verified="reference outputs of the original",
    source=SOURCE,
    restore=Restoration(("edge_net", "attention_net", "generator"), _restore),
)
class Generator(Network):
    """Generator of the background from photograph, edges and attention map. EdgeGAN specification, section 2.3.

    Attributes:
        width: "base" (as published, 2,855,619 parameters) or "tiny" (narrow).
        aux_scale: factor of the two maps inside the network: 1 as published (0..255, with colors in [-1, 1]), 1/255 for
            [0, 1].
        dtype: computation type; parameters and the restored image stay float32.
    """

    aux_scale: float = 1.0
    dtype: Dtype = jnp.float32

    def __post_init__(self) -> None:
        check_aux_scale(self.aux_scale)
        super().__post_init__()

    def example_shapes(self, *, size: tuple[int, int] = (64, 64)) -> tuple[tuple[int, ...], ...]:
        """Returns the shapes of the inputs, for images of about `size` (height, width)."""
        height, width = (n + -n % 4 for n in size)
        return ((1, height, width, 5),)

    @nn.compact
    def __call__(self, image_and_maps: jax.Array, *, train: bool = False) -> dict[str, jax.Array]:  # noqa: ARG002
        """Restores the background.

        Args:
            image_and_maps: RGB in [-1, 1], then edges and attention in 0..255, [B, H, W, 5]; H and W are multiples of
                4.
            train: no effect (the network has no dropout and no batch statistics).

        Returns:
            `restored` [B, H, W, 3] RGB in [-1, 1].

        Raises:
            UserError: H or W is not a multiple of 4.
        """
        _, height, width, _ = image_and_maps.shape
        if height % 4 or width % 4:
            raise UserError(
                f"image size {height}x{width} does not fit the generator, which halves it twice; "
                "pad height and width to multiples of 4"
            )
        x = scale_maps(image_and_maps, self.aux_scale).astype(self.dtype)
        full = x = self._conv(x, 64, "conv1", kernel=5)
        x = self._conv(x, 128, "conv2_s2", stride=2)
        half = x = self._conv(x, 128, "conv3")
        x = self._conv(x, 128, "conv4_s2", stride=2)
        for name in ("conv5", "conv6"):
            x = self._conv(x, 128, name)
        for i, (channels, dilation) in enumerate(((128, 2), (256, 4), (256, 8), (128, 16)), 1):
            x = self._conv(x, channels, f"dil{i}_r{dilation}", dilation=dilation)
        for name in ("conv7", "conv8"):
            x = self._conv(x, 128, name)
        x = self._up(x, 128, "deconv1") + half
        x = self._conv(x, 128, "conv9")
        x = self._up(x, 64, "deconv2") + full
        x = self._conv(x, 32, "conv10")
        x = same_conv(x, 3, dtype=self.dtype, name="out")
        return {"restored": jnp.tanh(x.astype(jnp.float32))}

    def _conv(
        self, x: jax.Array, channels: int, name: str, *, kernel: int = 3, stride: int = 1, dilation: int = 1
    ) -> jax.Array:
        y = same_conv(
            x,
            scaled(channels, self.width),
            kernel=kernel,
            stride=stride,
            dilation=dilation,
            dtype=self.dtype,
            name=name,
        )
        return nn.leaky_relu(y, negative_slope=_SLOPE)

    def _up(self, x: jax.Array, channels: int, name: str) -> jax.Array:
        y = ConvTranspose(scaled(channels, self.width), dtype=self.dtype, name=name)(x)
        y = max_pool(y, 2, stride=1, padding=same_padding(y.shape[1:3], kernel=2))
        return nn.leaky_relu(y, negative_slope=_SLOPE)
