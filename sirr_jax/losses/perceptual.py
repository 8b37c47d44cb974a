"""L_P: perceptual loss, the distance of VGG features."""

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

ERRORS = {"l1": jnp.abs, "mse": jnp.square}
"""Pointwise errors of `perceptual` by name."""


def perceptual(
    estimate: Mapping[str, jax.Array],
    target: Mapping[str, jax.Array],
    *,
    unit: float = 1.0,
    weights: Mapping[str, float] = VGG_WEIGHTS,
    error: str = "l1",
) -> jax.Array:
    """Computes L_P from the VGG features of two images; layers missing in `target` are skipped.

    Args:
        estimate: features of the estimate by layer name, `relu1_1`, ..., [B, h, w, C] each.
        target: features of the target, the same layers.
        unit: factor that converts the features to the scale of torchvision's weights.
        weights: weights of the layers; ERRNet's by default.
        error: "l1" for mean absolute, "mse" for mean squared differences.

    Returns:
        float32 scalar.
    """
    total = jnp.zeros(())
    # Squared differences scale with the square of the unit.
    factor = unit**2 if error == "mse" else unit
    for name, weight in weights.items():
        if name in target:
            difference = estimate[name].astype(jnp.float32) - target[name].astype(jnp.float32)
            total += weight * factor * ERRORS[error](difference).mean()
    return total
