"""Attention net, which locates the reflection."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.typing import Dtype

from sirr_jax.errors import UserError
from sirr_jax.layers.conv_lstm import ConvLSTM, State
from sirr_jax.models.edge_gan.maps import check_aux_scale, scale_maps
from sirr_jax.models.edge_gan.same import same_conv
from sirr_jax.models.edge_gan.source import SOURCE
from sirr_jax.models.network import Network
from sirr_jax.models.registry import register
from sirr_jax.models.width import scaled

_VARIANTS = ("released", "corrected")
_BLOCKS = 5
_STEPS = 4
_HALF_RANGE = 127.5

_Outputs = dict[str, jax.Array | tuple[jax.Array, ...]]


class ReleasedState(NamedTuple):
    """State that a released step passes to the next.

    Attributes:
        gate_input: input z of the gates: features of the trunk [B, H, W, C] and, from step 2 on, the previous h.
        hidden: hidden state h [B, H, W, C].
        cell: cell state c [B, H, W, C].
    """

    gate_input: jax.Array
    hidden: jax.Array
    cell: jax.Array


class PlainResidualBlock(nn.Module):
    """Two 3x3 convolutions plus the input, then ReLU; unlike in AttentiveGAN, no ReLU on the branch before the sum."""

    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Applies the block to `x` [B, H, W, C]; keeps the shape."""
        y = nn.relu(same_conv(x, x.shape[-1], dtype=self.dtype, name="conv1"))
        return nn.relu(same_conv(y, x.shape[-1], dtype=self.dtype, name="conv2") + x)


def _trunk(x: jax.Array, channels: int, dtype: Dtype) -> jax.Array:
    y = nn.relu(same_conv(x, channels, dtype=dtype, name="stem"))
    for i in range(1, _BLOCKS + 1):
        y = PlainResidualBlock(dtype=dtype, name=f"block{i}")(y)
    return y


class ReleasedStep(nn.Module):
    """Step of the released recurrence: trunk, gates, cell.

    Attributes:
        channels: channels of the trunk, the gates and the states.
        dtype: computation type.
    """

    channels: int
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, last: ReleasedState | None) -> ReleasedState:
        """Computes the next state.

        Args:
            x: input of the trunk [B, H, W, C].
            last: state of the previous step; None in step 1, which has no forget gate.
        """
        y = _trunk(x, self.channels, self.dtype)
        z = y if last is None else jnp.concatenate((y, last.hidden), axis=-1)

        def gate(name: str) -> jax.Array:
            return nn.sigmoid(same_conv(z, self.channels, dtype=self.dtype, name=f"gate_{name}"))

        cell = gate("i") * gate("g")  # the candidate g is a sigmoid too
        if last is not None:
            cell = last.cell * gate("f") + cell
        return ReleasedState(z, gate("o") * nn.tanh(cell), cell)


class CorrectedStep(nn.Module):
    """Step of AttentiveGAN's recurrence: trunk, LSTM cell, map.

    Attributes:
        channels: channels of the trunk and the states.
        dtype: computation type.
    """

    channels: int
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, u: jax.Array, attention: jax.Array, state: State | None) -> tuple[jax.Array, State]:
        """Computes the next map [B, H, W, 1] and state from the input `u`, the last map and the last state."""
        y = _trunk(jnp.concatenate((u, attention), axis=-1), self.channels, self.dtype)
        state = ConvLSTM(self.channels, dtype=self.dtype, name="lstm")(y, state)
        return same_conv(state[0], 1, dtype=self.dtype, name="mask"), state


@register("edge_gan/attention_net", year=2019, verified="reference outputs of the original", source=SOURCE)
class AttentionNet(Network):
    """Recurrent network of four steps that maps the contours of the reflection, from photograph and background edges.

    It has two variants; `u` is the input of the network, `z` the input of the gates of a step.

    "released" (EdgeGAN specification, section 2.2; 659,394 parameters) equals the published graph. The four steps have
    separate weights. The input of step 1 is `u`, without a forget gate; that of step 2 is `u` and the map of step 1;
    that of steps 3 and 4 is the `z` of the step before, instead of `u` and a map. The candidate gate is a sigmoid. Only
    steps 1 and 4 have a map.

    "corrected" (section 9; 168,097 parameters) is the recurrence of AttentiveGAN (Qian et al. 2018) with the trunk of
    this system: all steps share their weights and have `u` and the previous map as input; h and c are initially 0, the
    map is initially half of its range (127.5, which is AttentiveGAN's 0.5 at an `aux_scale` of 1/255); the candidate
    gate is a tanh. Every step has a map, so that all can be supervised.

    Attributes:
        width: "base" (as published) or "tiny" (narrow).
        variant: "released" or "corrected".
        aux_scale: factor of the edges and of the maps that are fed back, inside the network: 1 as published (0..255,
            with colors in [-1, 1]), 1/255 for [0, 1]. Outputs are in 0..255 in both cases.
        dtype: computation type; parameters and outputs stay float32.
    """

    variant: str = "released"
    aux_scale: float = 1.0
    dtype: Dtype = jnp.float32

    def __post_init__(self) -> None:
        if self.variant not in _VARIANTS:
            raise UserError(f"the attention net has no variant {self.variant!r}; choose one of {', '.join(_VARIANTS)}")
        check_aux_scale(self.aux_scale)
        super().__post_init__()

    def example_shapes(self, *, size: tuple[int, int] = (64, 64)) -> tuple[tuple[int, ...], ...]:
        """Returns the shapes of the inputs, for images of `size` (height, width)."""
        return ((1, *size, 4),)

    @nn.compact
    def __call__(self, image_and_edge: jax.Array, *, train: bool = False) -> _Outputs:  # noqa: ARG002
        """Computes the attention maps.

        Args:
            image_and_edge: RGB in [-1, 1] and the map of the edge net in 0..255, [B, H, W, 4]; any size.
            train: no effect (the network has no dropout and no batch statistics).

        Returns:
            `attention` [B, H, W, 1], the last map, about [0, 255] but not bounded; `attention_steps`, the maps of all
            steps that have one: 1 and 4 if "released", all four if "corrected".
        """
        x = scale_maps(image_and_edge, self.aux_scale).astype(self.dtype)
        scaled_maps = self._corrected(x) if self.variant == "corrected" else self._released(x)
        maps = tuple(x.astype(jnp.float32) / self.aux_scale for x in scaled_maps)
        return {"attention": maps[-1], "attention_steps": maps}

    def _released(self, u: jax.Array) -> list[jax.Array]:
        channels = scaled(32, self.width)
        state, x, maps = None, u, []
        for i in range(1, _STEPS + 1):
            state = ReleasedStep(channels, dtype=self.dtype, name=f"step{i}")(x, state)
            x = state.gate_input
            if i in (1, _STEPS):
                maps.append(same_conv(state.hidden, 1, dtype=self.dtype, name=f"mask{i}"))
            if i == 1:
                x = jnp.concatenate((u, maps[0]), axis=-1)
        return maps

    def _corrected(self, u: jax.Array) -> list[jax.Array]:
        step = CorrectedStep(scaled(32, self.width), dtype=self.dtype, name="step")
        attention, state = jnp.full((*u.shape[:3], 1), _HALF_RANGE * self.aux_scale, self.dtype), None
        maps = []
        for _ in range(_STEPS):
            attention, state = step(u, attention, state)
            maps.append(attention)
        return maps
