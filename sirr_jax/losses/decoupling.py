"""L_FD: decoupled features should explain their own layer and nothing of the other."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from sirr_jax.layers.resize import downsample_area
from sirr_jax.losses.exclusion import exclusion


def layer_error(estimate: jax.Array, layer: jax.Array, weight: jax.Array) -> jax.Array:
    """Weighted L1 between layers at quarter resolution.

    Args:
        estimate: [B, 3, H/4, W/4, 3].
        layer: true layer of the three frames [B, 3, H, W, 3].
        weight: [B], how far each sample's target can be trusted.
    """
    small = downsample_area(layer.reshape(-1, *layer.shape[2:]), 4).reshape(estimate.shape)
    return (jnp.abs(estimate - small).mean(axis=(1, 2, 3, 4)) * weight).mean()


def feature_overlap(psi_t: jax.Array, psi_r: jax.Array) -> jax.Array:
    """Mean absolute cosine between the two layers' features [..., C] at every place."""
    a, b = psi_t.astype(jnp.float32), psi_r.astype(jnp.float32)
    # rsqrt(x + eps), not a norm: at zero a norm has no gradient.
    scale = jax.lax.rsqrt(jnp.square(a).sum(axis=-1) + 1e-8) * jax.lax.rsqrt(jnp.square(b).sum(axis=-1) + 1e-8)
    return jnp.abs((a * b).sum(axis=-1) * scale).mean()


def decoupling(
    outputs: dict[str, jax.Array],
    transmission: jax.Array,
    reflection: jax.Array,
    reflection_weight: jax.Array,
) -> jax.Array:
    """L_FD of the specification, section 3 (our form): layer errors, feature overlap, exclusion.

    Args:
        outputs: the teacher's `layers_t`, `layers_r`, `psi_t`, `psi_r`.
        transmission: [B, 3, H, W, 3].
        reflection: [B, 3, H, W, 3].
        reflection_weight: [B]; 1 for exact reflections, 0.5 where it is only the residual of a real sequence.
    """
    layers_t, layers_r = outputs["layers_t"], outputs["layers_r"]
    certain = jnp.ones_like(reflection_weight)
    errors = layer_error(layers_t, transmission, certain)
    errors += layer_error(layers_r, reflection, reflection_weight)
    overlap = feature_overlap(outputs["psi_t"], outputs["psi_r"])
    flat = [x.reshape(-1, *x.shape[2:]) for x in (layers_t, layers_r)]
    return errors + 0.1 * overlap + 0.1 * exclusion(*flat)
