"""Fusion Net: fuses the aligned features of both layers and their motions into the knowledge K_t."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.typing import Dtype

from sirr_jax.layers.conv import conv
from sirr_jax.layers.residual import Residual
from sirr_jax.layers.warp import warp
from sirr_jax.models.dynamics.aligned_frames import AlignedFrames


def align(psi: jax.Array, flow: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Aligns the features of both neighbors with the middle frame.

    Args:
        psi: features [B, 3, h, w, C].
        flow: flow [B, 2, h, w, 2], see `FlowNet`.

    Returns:
        Aligned features Z [B, 2, h, w, C] and their validity [B, 2, h, w, 1].
    """
    batch, _, height, width, channels = psi.shape
    neighbors = psi[:, ::2].reshape(batch * 2, height, width, channels)
    warped, valid = warp(neighbors, flow.reshape(batch * 2, height, width, 2))
    return warped.reshape(batch, 2, height, width, channels), valid.reshape(batch, 2, height, width, 1)


class FusionNet(nn.Module):
    """Fusion of the aligned neighbors, gated by their similarity to frame t. Specification, section 2.5.

    Attributes:
        aligned_frames: whether the frames themselves are an input too, see `AlignedFrames`.
        dtype: computation type.
    """

    aligned_frames: bool = False
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(
        self,
        psi: tuple[jax.Array, jax.Array],
        flow: tuple[jax.Array, jax.Array],
        features: jax.Array,
        frames: jax.Array,
    ) -> jax.Array:
        """Fuses the features.

        Args:
            psi: features of both layers (Psi_T, Psi_R), each [B, 3, h, w, C].
            flow: flows of both layers (Phi_T, Phi_R), each [B, 2, h, w, 2].
            features: features f_t of the middle frame [B, h, w, C].
            frames: RGB frames [B, 3, 4 h, 4 w, 3].

        Returns:
            Knowledge K_t [B, h, w, C].
        """
        c, dtype = features.shape[-1], self.dtype
        theta = conv(c // 2, dtype=dtype, name="theta")
        phi = conv(c // 2, dtype=dtype, name="phi")
        fused = []
        for layer, psi_l, flow_l in zip(("transmission", "reflection"), psi, flow, strict=True):
            aligned, valid = align(psi_l, flow_l)
            middle = psi_l[:, 1]
            query = phi(middle)[:, None]
            keys = theta(aligned.reshape(-1, *aligned.shape[2:])).reshape(*aligned.shape[:-1], c // 2)
            similarity = (keys.astype(jnp.float32) * query.astype(jnp.float32)).sum(axis=-1, keepdims=True)
            gate = (nn.sigmoid(similarity / (c / 2) ** 0.5) * valid).astype(dtype)
            gated = gate * aligned
            stacked = jnp.concatenate((gated[:, 0], middle, gated[:, 1]), axis=-1)
            merged = conv(c, kernel=1, dtype=dtype, name=f"merge_{layer}")(stacked)
            fused.append(Residual(dtype=dtype, name=f"refine_{layer}")(merged))
        # The motions are features too: they distinguish the layers where textures do not.
        motions = [flow_l[:, s] for s in range(2) for flow_l in flow]
        dynamics = (jnp.concatenate(motions, axis=-1) / 16.0).astype(dtype)
        inputs = [*fused, features, dynamics]
        if self.aligned_frames:
            inputs.append(AlignedFrames(c, dtype=dtype, name="aligned_frames")(frames, flow))
        knowledge = conv(c, kernel=1, dtype=dtype, name="knowledge")(jnp.concatenate(inputs, axis=-1))
        for i in range(2):
            knowledge = Residual(dtype=dtype, name=f"knowledge{i}")(knowledge)
        return knowledge


class PlainFusion(nn.Module):
    """Ablation "w/o Fusion Net": one 1x1 convolution of unweighted means. Specification, section 4."""

    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(
        self,
        psi: tuple[jax.Array, jax.Array],
        flow: tuple[jax.Array, jax.Array],
        features: jax.Array,
        frames: jax.Array,
    ) -> jax.Array:
        """Fuses the features; see `FusionNet` for the arguments and the result."""
        del frames
        means = [align(psi_l, flow_l)[0].mean(axis=1) for psi_l, flow_l in zip(psi, flow, strict=True)]
        stacked = jnp.concatenate((psi[0][:, 1], psi[1][:, 1], *means), axis=-1)
        return conv(features.shape[-1], kernel=1, dtype=self.dtype, name="merge")(stacked)
