"""Convolutional LSTM cell without peepholes (Shi et al. 2015, simplified)."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.typing import Dtype

from sirr_jax.layers.conv import he_uniform

State = tuple[jax.Array, jax.Array]


class _Gate(nn.Module):
    """Parameters of the convolution of one gate; the cell applies them."""

    features: int
    kernel: int

    @nn.compact
    def __call__(self, channels: int) -> tuple[jax.Array, jax.Array]:
        """Returns the kernel [k, k, channels, features] and the bias [features]."""
        shape = (self.kernel, self.kernel, channels, self.features)
        kernel = self.param("kernel", he_uniform, shape, jnp.float32)
        return kernel, self.param("bias", nn.initializers.zeros, (self.features,), jnp.float32)


class ConvLSTM(nn.Module):
    """Convolutional LSTM cell over `[B, H, W, C]`.

    With z = [x, h] (x first): i, f, o = sigmoid(conv(z)), g = tanh(conv(z)); c' = f c + i g; h' = o tanh(c'). Used by
    AttentiveGAN (Qian et al. 2018; specification, section 2.1) and IBCLN (Li et al. 2020; baselines specification,
    section 5.2). The four gates have separate parameters, named i, f, g and o, and are computed as one convolution.

    Attributes:
        features: channels of h and c.
        kernel: side of the square kernels, odd.
        dtype: computation type, and that of h and c; parameters are float32.
    """

    features: int
    kernel: int = 3
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, state: State | None) -> State:
        """Computes the next state, whose h is also the output.

        Args:
            x: features [B, H, W, C].
            state: h and c of the previous step, [B, H, W, features] each; None for zeros.
        """
        if state is None:
            zeros = jnp.zeros((*x.shape[:-1], self.features), self.dtype)
            state = zeros, zeros
        hidden, cell = state
        z = jnp.concatenate((x.astype(self.dtype), hidden.astype(self.dtype)), axis=-1)
        gates = [_Gate(self.features, self.kernel, name=name)(z.shape[-1]) for name in "ifgo"]
        kernels, biases = zip(*gates, strict=True)
        pad = (self.kernel - 1) // 2
        y = jax.lax.conv_general_dilated(
            z,
            jnp.concatenate(kernels, axis=-1).astype(self.dtype),
            window_strides=(1, 1),
            padding=((pad, pad), (pad, pad)),
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )
        y = y + jnp.concatenate(biases).astype(self.dtype)[None, None, None]
        i, f, g, o = jnp.split(y, 4, axis=-1)
        cell = nn.sigmoid(f) * cell.astype(self.dtype) + nn.sigmoid(i) * jnp.tanh(g)
        return nn.sigmoid(o) * jnp.tanh(cell), cell
