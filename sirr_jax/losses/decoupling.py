"""L_FD: feature decoupling; features of a layer should predict that layer and not the other one."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from sirr_jax.layers.resize import downsample_area
from sirr_jax.losses.exclusion import exclusion


def layer_error(estimate: jax.Array, layer: jax.Array, weight: jax.Array) -> jax.Array:
    """Computes a weighted L1 between layers at quarter resolution.

    Args:
        estimate: [B, 3, H/4, W/4, 3] estimated layer of the three frames.
        layer: [B, 3, H, W, 3] true layer of the three frames.
        weight: [B] reliability of each sample's target.

    Returns:
        float32 scalar.
    """
    small = downsample_area(layer.reshape(-1, *layer.shape[2:]), 4).reshape(estimate.shape)
    return (jnp.abs(estimate - small).mean(axis=(1, 2, 3, 4)) * weight).mean()


def feature_overlap(psi_t: jax.Array, psi_r: jax.Array) -> jax.Array:
    """Computes the mean absolute cosine between the features of the two layers.

    Args:
        psi_t: [..., C] features of the transmission.
        psi_r: [..., C] features of the reflection, the same shape.

    Returns:
        float32 scalar in [0, 1].
    """
    a, b = psi_t.astype(jnp.float32), psi_r.astype(jnp.float32)
    # rsqrt(x + eps) instead of a norm, which has no gradient at zero.
    scale = jax.lax.rsqrt(jnp.square(a).sum(axis=-1) + 1e-8) * jax.lax.rsqrt(jnp.square(b).sum(axis=-1) + 1e-8)
    return jnp.abs((a * b).sum(axis=-1) * scale).mean()


def decoupling(
    outputs: dict[str, jax.Array],
    transmission: jax.Array,
    reflection: jax.Array,
    reflection_weight: jax.Array,
) -> jax.Array:
    """Computes L_FD of the specification, section 3 (our form): layer errors, feature overlap, exclusion.

    Args:
        outputs: outputs of the teacher, of which `layers_t`, `layers_r`, `psi_t` and `psi_r` are used.
        transmission: [B, 3, H, W, 3] true transmission.
        reflection: [B, 3, H, W, 3] true reflection.
        reflection_weight: [B] weight of the reflection: 1 if exact, 0.5 if it is the residual of a real sequence.

    Returns:
        float32 scalar.
    """
    layers_t, layers_r = outputs["layers_t"], outputs["layers_r"]
    transmission_weight = jnp.ones_like(reflection_weight)
    errors = layer_error(layers_t, transmission, transmission_weight)
    errors += layer_error(layers_r, reflection, reflection_weight)
    overlap = feature_overlap(outputs["psi_t"], outputs["psi_r"])
    flat = [x.reshape(-1, *x.shape[2:]) for x in (layers_t, layers_r)]
    return errors + 0.1 * overlap + 0.1 * exclusion(*flat)
