"""Style loss: distance of the Gram matrices of VGG features (Gatys et al. 2016)."""

from __future__ import annotations

from collections.abc import Mapping

import jax
import jax.numpy as jnp

STYLE_LAYERS = ("relu2_2", "relu3_4", "relu4_4", "relu5_2")
"""VGG layers of SR-Net's style loss (specification, section 3; a reconstruction)."""


def gram(features: jax.Array) -> jax.Array:
    """Computes Gram matrices: products of channels, summed over the pixels and divided by C H W.

    Args:
        features: [B, H, W, C] features of any floating type.

    Returns:
        [B, C, C] float32.
    """
    batch, height, width, channels = features.shape
    flat = features.astype(jnp.float32).reshape(batch, height * width, channels)
    products = jnp.einsum("bpc,bpd->bcd", flat, flat, precision="highest")
    return products / (channels * height * width)


def style(
    estimate: Mapping[str, jax.Array],
    target: Mapping[str, jax.Array],
    *,
    unit: float = 1.0,
    layers: tuple[str, ...] = STYLE_LAYERS,
) -> jax.Array:
    """Computes the mean absolute difference of the Gram matrices, summed over the layers present in `target`.

    Args:
        estimate: features of the estimate by layer name, `relu1_1`, ..., [B, h, w, C] each.
        target: features of the target, the same layers.
        unit: factor that converts the features to the scale of torchvision's weights.
        layers: names of the compared layers; layers missing in `target` are skipped.

    Returns:
        float32 scalar; 0 if no layer is present.
    """
    total = jnp.zeros(())
    for name in layers:
        if name in target:
            # Products of two features scale with the square of the unit.
            total += unit**2 * jnp.abs(gram(estimate[name]) - gram(target[name])).mean()
    return total
