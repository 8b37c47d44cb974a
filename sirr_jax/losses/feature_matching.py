"""Feature matching: distance between a discriminator's features of real and generated images."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp


def feature_matching(real: Sequence[jax.Array], fake: Sequence[jax.Array]) -> jax.Array:
    """Computes the mean absolute difference of feature maps, summed over the maps (Wang et al. 2018).

    Args:
        real: feature maps [B, h, w, C] of the discriminator for real images; no gradient flows into them.
        fake: feature maps for generated images.

    Returns:
        float32 scalar.
    """
    pairs = zip(jax.lax.stop_gradient(tuple(real)), fake, strict=True)
    return sum((jnp.abs(a - b).mean() for a, b in pairs), jnp.zeros(()))
