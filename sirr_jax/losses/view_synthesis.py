"""L_VS: photometric error of neighbors warped to the middle frame by the flow, and related flow losses."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from sirr_jax.layers.resize import downsample_area, upsample_bilinear
from sirr_jax.layers.warp import warp
from sirr_jax.losses.pixel import differences


def synthesis_error(flow: jax.Array, layer: jax.Array, weight: jax.Array) -> jax.Array:
    """Computes the photometric error of the neighbors warped to the middle frame.

    Args:
        flow: [B, 2, H/4, W/4, 2] flow in quarter-resolution pixels.
        layer: [B, 3, H, W, 3] layer in the three frames.
        weight: [B] weight of each sample.

    Returns:
        Scalar, the mean over samples, both neighbors, pixels and channels; the error of invalid pixels is 0.
    """
    batch, _, height, width, _ = layer.shape
    full = 4.0 * upsample_bilinear(flow.reshape(batch * 2, *flow.shape[2:]), 4)
    warped, valid = warp(layer[:, ::2].reshape(batch * 2, height, width, 3), full)
    error = valid * jnp.abs(warped - jnp.repeat(layer[:, 1], 2, axis=0))
    return (error.reshape(batch, -1).mean(axis=1) * weight).mean()


def smoothness(flow: jax.Array, layer: jax.Array) -> jax.Array:
    """Computes the edge-aware smoothness of a flow: differences weigh less at edges of the layer's middle frame.

    Args:
        flow: [B, 2, H/4, W/4, 2] flow in quarter-resolution pixels.
        layer: [B, 3, H, W, 3] layer in the three frames.

    Returns:
        Scalar.
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
    """Computes L_VS of the specification, section 3 (our form), for transmission and reflection.

    Args:
        flows: flows of the two layers, [B, 2, H/4, W/4, 2] each.
        layers: the two layers in the three frames, [B, 3, H, W, 3] each.
        weights: weights of the samples for the two layers, [B] each.

    Returns:
        Scalar.
    """
    total = jnp.zeros(())
    for flow, layer, weight in zip(flows, layers, weights, strict=True):
        # Mean over the two layers; `synthesis_error` is already a mean over the two neighbors.
        total += synthesis_error(flow, layer, weight) / 2 + 0.05 * smoothness(flow, layer)
    return total


def flow_error(flow: jax.Array, target: jax.Array, valid: jax.Array, weight: jax.Array) -> jax.Array:
    """Computes the mean |du| + |dv| against exact flows, in quarter-resolution pixels.

    Args:
        flow: [B, 2, H/n, W/n, 2] flow for any n, in pixels of its own grid.
        target: [B, 2, H, W, 2] exact flow in pixels.
        valid: [B, 2, H, W] validity of the exact flow; 0 where the point has left the frame or is hidden.
        weight: [B] weight of each sample; 0 for real sequences, whose flow is unknown.

    Returns:
        Scalar.
    """
    stride = target.shape[2] // flow.shape[2]
    small = downsample_area(target.reshape(-1, *target.shape[2:]), stride).reshape(flow.shape)
    validity = downsample_area(valid.reshape(-1, *valid.shape[2:])[..., None], stride).reshape(*flow.shape[:-1])
    error = jnp.abs(stride * flow - small).sum(axis=-1) * validity
    return (error.mean(axis=(1, 2, 3)) * weight).mean() / 4.0
