"""L_P: distance of VGG-19 features."""

from __future__ import annotations

from collections.abc import Mapping

import jax
import jax.numpy as jnp

# ERRNet's layers and weights.
VGG_WEIGHTS = {
    "relu1_1": 1 / 2.6,
    "relu2_1": 1 / 4.8,
    "relu3_1": 1 / 3.7,
    "relu4_1": 1 / 5.6,
    "relu5_1": 10 / 1.5,
}


def perceptual(estimate: Mapping[str, jax.Array], truth: Mapping[str, jax.Array], *, unit: float = 1.0) -> jax.Array:
    """L_P from the VGG-19 features of two images; layers that are not given are left out.

    Args:
        estimate: `relu1_1`, ... [B, h, w, C] of the estimate.
        truth: the same layers of the truth.
        unit: factor that brings the features' scale to that of torchvision's weights.
    """
    total = jnp.zeros(())
    for name, weight in VGG_WEIGHTS.items():
        if name in truth:
            error = estimate[name].astype(jnp.float32) - truth[name].astype(jnp.float32)
            total += weight * unit * jnp.abs(error).mean()
    return total
