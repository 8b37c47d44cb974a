"""Hallucination of multi-view knowledge from one view, in the student and in teachers grown from a student."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.typing import Dtype

from sirr_jax.layers.conv import conv
from sirr_jax.layers.residual import Residual
from sirr_jax.models.dynamics.encoder import EncoderFeatures
from sirr_jax.models.dynamics.hypercolumn import Hypercolumn
from sirr_jax.models.dynamics.widths import Widths


class Hallucination(nn.Module):
    """Prediction, from one view, of the knowledge that the teacher has from three. Specification, section 2.7."""

    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, features: jax.Array) -> jax.Array:
        """Maps `features` [B, h, w, C] to K_hat of the same shape."""
        x = features
        for i, dilation in enumerate((1, 2, 4, 4, 2, 1)):
            x = Residual(dilation=dilation, dtype=self.dtype, name=f"residual{i}")(x)
        return conv(features.shape[-1], kernel=1, dtype=self.dtype, name="out")(x)


def hallucinate(
    widths: Widths,
    hypercolumn: str,
    image: jax.Array,
    encoded: EncoderFeatures,
    *,
    hallucination: bool = True,
    dtype: Dtype,
) -> tuple[EncoderFeatures, jax.Array]:
    """Applies the modules "hypercolumn" and "hallucination"; call it inside an `@nn.compact` method.

    Args:
        widths: channels of the network.
        hypercolumn: convention of the VGG-19 weights, "" for no hypercolumn.
        image: RGB images [B, H, W, 3] in [0, 1], H and W multiples of 4.
        encoded: encoder features of the image.
        hallucination: whether to apply "hallucination"; False takes the features themselves as knowledge.
        dtype: computation type.

    Returns:
        The features for the decoder, with VGG-19's if there is a hypercolumn, and K_hat [B, H/4, W/4, C].
    """
    skips, context = encoded, None
    if hypercolumn:
        skips, context = Hypercolumn(widths, hypercolumn, dtype=dtype, name="hypercolumn")(image, encoded)
    knowledge = skips.quarter
    if hallucination:
        knowledge = Hallucination(dtype=dtype, name="hallucination")(knowledge)
    return skips, knowledge if context is None else knowledge + context
