"""Feature matching: what a discriminator sees in a made image should be what it sees in a real one."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp


def feature_matching(real: Sequence[jax.Array], fake: Sequence[jax.Array]) -> jax.Array:
    """Mean absolute difference of a discriminator's maps, summed over the maps (Wang et al. 2018).

    Args:
        real: its maps [B, h, w, C] of real images; they carry no gradient.
        fake: the same maps of made ones.
    """
    pairs = zip(jax.lax.stop_gradient(tuple(real)), fake, strict=True)
    return sum((jnp.abs(a - b).mean() for a, b in pairs), jnp.zeros(()))
