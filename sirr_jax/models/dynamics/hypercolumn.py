"""What a VGG-19 that was trained on ImageNet sees in the mixture, joined to the student's features."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.typing import Dtype

from sirr_jax.errors import UserError
from sirr_jax.layers.conv import conv
from sirr_jax.layers.residual import Residual
from sirr_jax.models.dynamics.encoder import Encoded
from sirr_jax.models.dynamics.widths import Widths
from sirr_jax.models.vgg import CAFFE_SCALE, VGG19_BLOCKS, Vgg19, convolutions, normalize

VGG_LAYERS = tuple(convolutions(VGG19_BLOCKS))[:6]
"""conv1_1 to conv3_2: nothing below a quarter of the resolution, and 2.2 MiB in half precision."""

CONVENTIONS = ("caffe", "torchvision")

# Standard deviations of the features joined, over crops of photographs and all channels, with Caffe's weights.
_SPREAD = {"relu1_2": 126.0, "relu2_2": 219.0, "relu3_2": 251.0}
_UNIT = {"caffe": 1.0, "torchvision": 1.0 / CAFFE_SCALE}
_CONTEXT = 64


class Hypercolumn(nn.Module):
    """Features of a frozen VGG-19 up to conv3_2, one map for each of the encoder's resolutions.

    They enter through convolutions that start at zero, so that a student to which they are added goes on as it was.
    Hypercolumns: Zhang et al. 2018; baselines specification, section 4.1. Their place in the student is our own.

    Attributes:
        widths: the student's.
        convention: of the weights, see `sirr_jax.models.vgg.normalize`.
        dtype: computation type.

    Raises:
        UserError: where made with another convention.
    """

    widths: Widths
    convention: str
    dtype: Dtype = jnp.float32

    def __post_init__(self) -> None:
        check_convention(self.convention)
        super().__post_init__()

    @nn.compact
    def __call__(self, image: jax.Array, encoded: Encoded) -> tuple[Encoded, jax.Array]:
        """Join.

        Args:
            image: [B, H, W, 3] RGB in [0, 1], H and W multiples of 4.
            encoded: the student's features of it.

        Returns:
            The features with VGG's added, and what conv3_2 adds to K_hat after residual blocks of its own,
            [B, H/4, W/4, C]. No gradient flows into VGG-19.
        """
        dtype = self.dtype
        vgg = Vgg19(layers=VGG_LAYERS, dtype=dtype, name="vgg19")(normalize(image, self.convention))
        seen = {
            name: jax.lax.stop_gradient(vgg[name]) * jnp.asarray(1.0 / (spread * _UNIT[self.convention]), dtype)
            for name, spread in _SPREAD.items()
        }
        # A tenth: hundreds of channels of size 1 that all start to count at once would throw a trained student off.
        parts = [
            own + conv(own.shape[-1], kernel=1, zero=True, dtype=dtype, name=name)(0.1 * features)
            for name, own, features in zip(Encoded._fields, encoded, seen.values(), strict=True)
        ]
        joined = Encoded(*parts)
        context = jnp.concatenate((0.3 * seen["relu3_2"], joined.quarter), axis=-1)
        context = nn.relu(conv(_CONTEXT, kernel=1, dtype=dtype, name="context_in")(context))
        for i, dilation in enumerate((1, 2, 4, 2)):
            context = Residual(dilation=dilation, dtype=dtype, name=f"context{i}")(context)
        return joined, conv(self.widths.quarter, kernel=1, zero=True, dtype=dtype, name="context_out")(context)


def check_convention(convention: str) -> None:
    """Refuse a convention of VGG's weights that does not exist.

    Raises:
        UserError: if it is none of `CONVENTIONS`.
    """
    if convention not in CONVENTIONS:
        raise UserError(f"hypercolumn={convention!r} is no convention of VGG-19's weights; choose one of {CONVENTIONS}")
