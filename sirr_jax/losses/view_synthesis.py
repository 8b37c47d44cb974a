"""L_VS: the flow of a layer should carry its neighbors onto the middle frame."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from sirr_jax.layers.resize import downsample_area, upsample_bilinear
from sirr_jax.layers.warp import warp
from sirr_jax.losses.pixel import differences


def synthesis_error(flow: jax.Array, layer: jax.Array, weight: jax.Array) -> jax.Array:
    """Photometric error of the neighbors warped onto the middle frame.

    Args:
        flow: [B, 2, H/4, W/4, 2] in quarter-resolution pixels.
        layer: [B, 3, H, W, 3].
        weight: [B].

    Returns:
        Mean over samples, both neighbors, valid and invalid pixels (the latter count zero) and channels.
    """
    batch, _, height, width, _ = layer.shape
    full = 4.0 * upsample_bilinear(flow.reshape(batch * 2, *flow.shape[2:]), 4)
    warped, valid = warp(layer[:, ::2].reshape(batch * 2, height, width, 3), full)
    error = valid * jnp.abs(warped - jnp.repeat(layer[:, 1], 2, axis=0))
    return (error.reshape(batch, -1).mean(axis=1) * weight).mean()


def smoothness(flow: jax.Array, layer: jax.Array) -> jax.Array:
    """Edge-aware smoothness: flow differences, forgiven where the layer's middle frame has edges.

    Both at quarter resolution; shapes as in `synthesis_error`.
    """
    middle = downsample_area(layer[:, 1], 4)
    total = jnp.zeros(())
    for d_flow, d_layer in zip(differences(flow), differences(middle), strict=True):
        edge = jnp.exp(-10.0 * jnp.abs(d_layer).mean(axis=-1, keepdims=True))
        total += (jnp.abs(d_flow) * edge[:, None]).mean()
    return total


def view_synthesis(
    flows: tuple[jax.Array, jax.Array],
    layers: tuple[jax.Array, jax.Array],
    weights: tuple[jax.Array, jax.Array],
) -> jax.Array:
    """L_VS of the specification, section 3 (our form), over the pair (transmission, reflection).

    Args:
        flows: each [B, 2, H/4, W/4, 2].
        layers: each [B, 3, H, W, 3].
        weights: each [B].
    """
    total = jnp.zeros(())
    for flow, layer, weight in zip(flows, layers, weights, strict=True):
        # Dividing by the two layers; the mean inside already halves for the two neighbors.
        total += synthesis_error(flow, layer, weight) / 2 + 0.05 * smoothness(flow, layer)
    return total


def flow_error(flow: jax.Array, target: jax.Array, valid: jax.Array, weight: jax.Array) -> jax.Array:
    """Mean |du| + |dv| against exact flows, in quarter-resolution pixels.

    Args:
        flow: [B, 2, H/n, W/n, 2] for some n, in pixels of its own grid.
        target: [B, 2, H, W, 2] in pixels.
        valid: [B, 2, H, W]; where 0, the point has left the frame or is hidden.
        weight: [B]; 0 for real sequences, whose flow is unknown.
    """
    stride = target.shape[2] // flow.shape[2]
    small = downsample_area(target.reshape(-1, *target.shape[2:]), stride).reshape(flow.shape)
    seen = downsample_area(valid.reshape(-1, *valid.shape[2:])[..., None], stride).reshape(*flow.shape[:-1])
    error = jnp.abs(stride * flow - small).sum(axis=-1) * seen
    return (error.mean(axis=(1, 2, 3)) * weight).mean() / 4.0
