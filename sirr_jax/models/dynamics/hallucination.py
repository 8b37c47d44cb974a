"""What can be known of the other views from one: the student's part, and that of a teacher grown out of a student."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.typing import Dtype

from sirr_jax.layers.conv import conv
from sirr_jax.layers.residual import Residual
from sirr_jax.models.dynamics.encoder import Encoded
from sirr_jax.models.dynamics.hypercolumn import Hypercolumn
from sirr_jax.models.dynamics.widths import Widths


class Hallucination(nn.Module):
    """Imagine, from one view, the knowledge that the teacher gains from three. Specification, section 2.7."""

    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, features: jax.Array) -> jax.Array:
        """`features` [B, h, w, C] -> K_hat of the same shape."""
        x = features
        for i, dilation in enumerate((1, 2, 4, 4, 2, 1)):
            x = Residual(dilation=dilation, dtype=self.dtype, name=f"residual{i}")(x)
        return conv(features.shape[-1], kernel=1, dtype=self.dtype, name="out")(x)


def hallucinate(
    widths: Widths, hypercolumn: str, image: jax.Array, encoded: Encoded, *, imagines: bool = True, dtype: Dtype
) -> tuple[Encoded, jax.Array]:
    """Apply the parts "hypercolumn" and "hallucination" inside a network's `@nn.compact` method.

    Args:
        widths: the network's.
        hypercolumn: convention of its VGG-19, "" for none.
        image: [B, H, W, 3] RGB in [0, 1], H and W multiples of 4.
        encoded: the encoder's features of it.
        imagines: False takes the features themselves as knowledge.
        dtype: computation type.

    Returns:
        The features for the decoder, with VGG's where there is a hypercolumn, and K_hat [B, H/4, W/4, C].
    """
    skips, context = encoded, None
    if hypercolumn:
        skips, context = Hypercolumn(widths, hypercolumn, dtype=dtype, name="hypercolumn")(image, encoded)
    knowledge = skips.quarter
    if imagines:
        knowledge = Hallucination(dtype=dtype, name="hallucination")(knowledge)
    return skips, knowledge if context is None else knowledge + context
