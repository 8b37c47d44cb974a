"""Exclusion loss (Zhang et al. 2018), which penalizes coinciding edges of the two layers."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from sirr_jax.layers.resize import downsample_area
from sirr_jax.losses.pixel import differences


def _term(a: jax.Array, b: jax.Array) -> jax.Array:
    strength_a, strength_b = (jnp.abs(x).mean(axis=(1, 2, 3), keepdims=True) for x in (a, b))
    scale = 2.0 * strength_a / (strength_b + 1e-6)
    product = jnp.square(jnp.tanh(a / 2)) * jnp.square(jnp.tanh(scale * b / 2))
    # The fourth root has an infinite slope at zero.
    return (product.mean(axis=(1, 2, 3)) + 1e-12) ** 0.25


def exclusion(a: jax.Array, b: jax.Array, *, levels: int = 3) -> jax.Array:
    """Computes the exclusion loss of two layers.

    Follows the authors' released code, which they call authoritative over the paper: 2 sigmoid(v) - 1 = tanh(v / 2),
    fourth root, mean over levels, halves of the horizontal and the vertical term. Their batches have one image; here
    the loss is computed per image and averaged. 1e-12 inside the root and 1e-6 under the ratio are our additions, to
    keep gradients finite at flat layers.

    Args:
        a: [B, H, W, C] layer, H and W at least 2^levels.
        b: array of the same shape.
        levels: number of octaves.

    Returns:
        float32 scalar.
    """
    total = jnp.zeros(())
    for level in range(levels):
        if level:
            height, width = a.shape[1] // 2 * 2, a.shape[2] // 2 * 2
            a, b = (downsample_area(x[:, :height, :width], 2) for x in (a, b))
        pairs = zip(differences(a), differences(b), strict=True)
        total += sum(_term(da, db).mean() for da, db in pairs)
    return total / (2 * levels)
