"""Hypercolumn of a VGG-19 that was trained on ImageNet, added to the features of the student."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.typing import Dtype

from sirr_jax.errors import UserError
from sirr_jax.layers.conv import conv
from sirr_jax.layers.residual import Residual
from sirr_jax.models.dynamics.encoder import EncoderFeatures
from sirr_jax.models.dynamics.widths import Widths
from sirr_jax.models.vgg import CAFFE_SCALE, VGG19_BLOCKS, Vgg19, convolutions, normalize

VGG_LAYERS = tuple(convolutions(VGG19_BLOCKS))[:6]
"""conv1_1 to conv3_2: down to a quarter of the resolution, 2.2 MiB in half precision."""

CONVENTIONS = ("caffe", "torchvision")

# Standard deviations of the features over crops of photographs and all channels, with Caffe's weights.
_SPREAD = {"relu1_2": 126.0, "relu2_2": 219.0, "relu3_2": 251.0}
_UNIT = {"caffe": 1.0, "torchvision": 1.0 / CAFFE_SCALE}
_CONTEXT = 64


class Hypercolumn(nn.Module):
    """Features of a frozen VGG-19 up to conv3_2, one map for each resolution of the encoder.

    They are added through convolutions that are initially zero, so that a trained student is at first unchanged.
    Hypercolumns: Zhang et al. 2018; baselines specification, section 4.1. Their place in the student is a design of
    this project.

    Attributes:
        widths: channels of the student.
        convention: convention of the weights, see `sirr_jax.models.vgg.normalize`.
        dtype: computation type.

    Raises:
        UserError: The convention is unknown.
    """

    widths: Widths
    convention: str
    dtype: Dtype = jnp.float32

    def __post_init__(self) -> None:
        check_convention(self.convention)
        super().__post_init__()

    @nn.compact
    def __call__(self, image: jax.Array, encoded: EncoderFeatures) -> tuple[EncoderFeatures, jax.Array]:
        """Adds the features of VGG-19.

        Args:
            image: RGB images [B, H, W, 3] in [0, 1], H and W multiples of 4.
            encoded: encoder features of the image.

        Returns:
            The encoder features plus VGG-19's, and the addition to K_hat [B, H/4, W/4, C] that residual blocks compute
            from conv3_2. No gradient flows into VGG-19.
        """
        dtype = self.dtype
        vgg = Vgg19(layers=VGG_LAYERS, dtype=dtype, name="vgg19")(normalize(image, self.convention))
        scaled_features = {
            name: jax.lax.stop_gradient(vgg[name]) * jnp.asarray(1.0 / (spread * _UNIT[self.convention]), dtype)
            for name, spread in _SPREAD.items()
        }
        # The factor 0.1 protects a trained student from hundreds of new channels of size 1 that learn at the same time.
        parts = [
            x + conv(x.shape[-1], kernel=1, zero=True, dtype=dtype, name=name)(0.1 * features)
            for name, x, features in zip(EncoderFeatures._fields, encoded, scaled_features.values(), strict=True)
        ]
        joined = EncoderFeatures(*parts)
        context = jnp.concatenate((0.3 * scaled_features["relu3_2"], joined.quarter), axis=-1)
        context = nn.relu(conv(_CONTEXT, kernel=1, dtype=dtype, name="context_in")(context))
        for i, dilation in enumerate((1, 2, 4, 2)):
            context = Residual(dilation=dilation, dtype=dtype, name=f"context{i}")(context)
        return joined, conv(self.widths.quarter, kernel=1, zero=True, dtype=dtype, name="context_out")(context)


def check_convention(convention: str) -> None:
    """Checks the convention of VGG-19's weights.

    Raises:
        UserError: The convention is not one of `CONVENTIONS`.
    """
    if convention not in CONVENTIONS:
        raise UserError(
            f"hypercolumn is {convention!r}, expected a convention of VGG-19's weights; "
            f"choose one of {', '.join(CONVENTIONS)}"
        )
