"""Style: distance of the correlations between VGG features (Gatys et al. 2016)."""

from __future__ import annotations

from collections.abc import Mapping

import jax
import jax.numpy as jnp

STYLE_LAYERS = ("relu2_2", "relu3_4", "relu4_4", "relu5_2")
"""SR-Net's (specification, section 3: a reconstruction)."""


def gram(features: jax.Array) -> jax.Array:
    """`[B, H, W, C] -> [B, C, C]`: products of channels, summed over the pixels, over C H W. float32."""
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
    """Mean absolute difference of the Gram matrices, summed over the layers that are given; 0 if none is.

    Args:
        estimate: `relu1_1`, ... [B, h, w, C] of the estimate.
        target: the same layers of the target.
        unit: factor that brings the features' scale to that of torchvision's weights.
        layers: to compare.
    """
    total = jnp.zeros(())
    for name in layers:
        if name in target:
            # A product of two features is measured in squared units.
            total += unit**2 * jnp.abs(gram(estimate[name]) - gram(target[name])).mean()
    return total
