"""Flow Net: a small PWC-Net (Sun et al. 2018) on decoupled features."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.typing import Dtype

from sirr_jax.layers.conv import conv
from sirr_jax.layers.cost_volume import cost_volume
from sirr_jax.layers.resize import upsample_bilinear
from sirr_jax.layers.warp import warp

_leaky = functools.partial(nn.leaky_relu, negative_slope=0.1)


class Pyramid(nn.Module):
    """Feature pyramid of three levels, at pixel strides 4, 8 and 16."""

    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, psi: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Maps [B, h, w, C] to [B, h, w, C/2], [B, h/2, w/2, 3C/4] and [B, h/4, w/4, C]."""
        c, dtype = psi.shape[-1], self.dtype
        p4 = _leaky(conv(c // 2, kernel=1, dtype=dtype, name="project")(psi))
        p4 = _leaky(conv(c // 2, dtype=dtype, name="stride4")(p4))
        p8 = _leaky(conv(3 * c // 4, stride=2, dtype=dtype, name="stride8_down")(p4))
        p8 = _leaky(conv(3 * c // 4, dtype=dtype, name="stride8")(p8))
        p16 = _leaky(conv(c, stride=2, dtype=dtype, name="stride16_down")(p8))
        p16 = _leaky(conv(c, dtype=dtype, name="stride16")(p16))
        return p4, p8, p16


class _FlowHead(nn.Module):
    """Chain of 3x3 convolutions that ends in a residual flow, initially zero."""

    features: tuple[int, ...]
    dilations: tuple[int, ...]
    dtype: Dtype

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        for i, (features, dilation) in enumerate(zip(self.features, self.dilations, strict=True)):
            x = _leaky(conv(features, dilation=dilation, dtype=self.dtype, name=f"conv{i}")(x))
        # Coordinates need more precision than bfloat16 has.
        return conv(2, zero=True, name="flow")(x.astype(jnp.float32))


def _normalize_features(x: jax.Array) -> jax.Array:
    """Subtracts the mean over the image from features [B, H, W, C] and scales each pixel to mean square 1.

    Most of a feature is common to all pixels and does not distinguish displacements. Without this step the costs are
    nearly flat, and the flow was still zero after three thousand training steps. PWC-Net has no such step; Jonschkowski
    et al. 2020 ("What Matters in Unsupervised Optical Flow") normalize whole maps.
    """
    x32 = x.astype(jnp.float32)
    x32 = x32 - x32.mean(axis=(1, 2), keepdims=True)
    return (x32 * jax.lax.rsqrt(jnp.square(x32).mean(axis=-1, keepdims=True) + 1e-6)).astype(x.dtype)


class FlowNet(nn.Module):
    """Flow from the middle frame to each neighbor, from the features of one layer. Specification, section 2.3.

    Both layers and both neighbors share the weights. The search radius is 4 at pixel stride 16: 64 px. The costs
    compare normalized features, which is not in the specification.
    """

    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, psi: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Estimates the flows, from coarse to fine.

        Args:
            psi: features [B, 3, h, w, C] of one layer in frames t-1, t and t+1; h and w are multiples of 4.

        Returns:
            Three estimates of the same flows, [B, 2, h/4, w/4, 2], [B, 2, h/2, w/2, 2] and [B, 2, h, w, 2], float32;
            the last one is the result. Point p of frame t corresponds to p + flow(p) in frame t-1 (first) and t+1
            (second); (u, v) are in pixels of the grid of the estimate.
        """
        batch, _, height, width, c = psi.shape
        levels = Pyramid(dtype=self.dtype, name="pyramid")(psi.reshape(-1, height, width, c))
        flow: jax.Array | None = None
        flows = []
        for stride, level in zip((16, 8, 4), reversed(levels), strict=True):
            shape = level.shape[1:]
            frames = level.reshape(batch, 3, *shape)
            target = jnp.repeat(frames[:, 1:2], 2, axis=1).reshape(batch * 2, *shape)
            source = frames[:, ::2].reshape(batch * 2, *shape)
            if flow is None:
                flow = jnp.zeros((*target.shape[:3], 2), jnp.float32)
            else:
                flow = 2.0 * upsample_bilinear(flow, 2)
                source, _ = warp(source, flow)
            costs = _leaky(cost_volume(_normalize_features(target), _normalize_features(source), radius=4))
            estimator = _FlowHead((c, c, 3 * c // 4, c // 2, c // 4), (1,) * 5, self.dtype, name=f"estimator{stride}")
            flow += estimator(jnp.concatenate((costs, target, flow.astype(target.dtype)), axis=-1))
            flows.append(flow)
        context = _FlowHead((c, c, 3 * c // 4, c // 2), (1, 2, 4, 8), self.dtype, name="context")
        flows[-1] = flows[-1] + context(jnp.concatenate((target, flows[-1].astype(target.dtype)), axis=-1))
        coarse, middle, fine = (x.reshape(batch, 2, *x.shape[1:]) for x in flows)
        return coarse, middle, fine
