"""Convolutions divided by the largest singular value of their kernel, equal to torch's `spectral_norm`."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.typing import Dtype

from sirr_jax.layers.conv import he_uniform
from sirr_jax.layers.conv_transpose import conv_transpose
from sirr_jax.layers.dilated import dilated_conv
from sirr_jax.layers.padding import Padding, sides


def _unit(x: jax.Array) -> jax.Array:
    """`x` at length 1, as torch's `normalize` with epsilon 1e-12."""
    return x / jnp.maximum(jnp.linalg.norm(x), 1e-12)


class SpectralConv(nn.Module):
    """A convolution or transposed convolution with spectral normalization (Miyato et al. 2018).

    The kernel, as a matrix W of one row per output channel, is divided by sigma = u^T W v. The vectors `u` [features]
    and `v` [in * k * k] stand in the collection `batch_stats`. With `train` they first take one step of the power
    method, which is kept if the collection is mutable; the gradient passes through sigma but not through them. In
    evaluation they are used as they are. v runs over input channels, rows, columns, so both can be exchanged with
    torch's `weight_u` and `weight_v`.

    torch draws v at random, which makes sigma meaningless until the first training step; here it begins as W^T u.

    Attributes:
        features: output channels.
        kernel: side of the square kernel.
        stride: step in both directions.
        dilation: spacing of the kernel's taps (not for transposed ones).
        padding: zeros on all sides, or `((top, bottom), (left, right))`; of a transposed convolution, one number.
        transposed: whether it is a transposed convolution, as `conv_transpose`.
        bias: whether a constant per channel is added.
        dtype: computation type of the convolution; kernel, u, v and sigma are float32.
    """

    features: int
    kernel: int = 3
    stride: int = 1
    dilation: int = 1
    padding: int | Padding = 1
    transposed: bool = False
    bias: bool = True
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """Apply the layer to `x` [B, H, W, C]; `train` says whether u and v move."""
        shape = (self.kernel, self.kernel, x.shape[-1], self.features)
        kernel = self.param("kernel", he_uniform, shape, jnp.float32)
        kernel = (kernel / self._sigma(kernel, train)).astype(self.dtype)
        x = x.astype(self.dtype)
        if self.transposed:
            y = conv_transpose(x, kernel, stride=self.stride, padding=self.padding)
        else:
            y = dilated_conv(
                x,
                kernel,
                (self.stride, self.stride),
                sides(self.padding),
                rhs_dilation=(self.dilation, self.dilation),
                dimension_numbers=("NHWC", "HWIO", "NHWC"),
            )
        if self.bias:
            bias = self.param("bias", nn.initializers.zeros, (self.features,), jnp.float32)
            y = y + bias.astype(self.dtype)[None, None, None]
        return y

    def _sigma(self, kernel: jax.Array, train: bool) -> jax.Array:
        matrix = kernel.transpose(3, 2, 0, 1).reshape(self.features, -1)
        fixed = jax.lax.stop_gradient(matrix)

        def across(u: jax.Array) -> jax.Array:
            return _unit(jnp.dot(u, fixed, precision="highest"))

        def draw() -> jax.Array:
            return _unit(jax.random.normal(self.make_rng("params"), (self.features,), jnp.float32))

        u_state = self.variable("batch_stats", "u", draw)
        v_state = self.variable("batch_stats", "v", lambda: across(u_state.value))
        u, v = u_state.value, v_state.value
        if train and not self.is_initializing():
            v = across(u)
            u = _unit(jnp.dot(fixed, v, precision="highest"))
            if self.is_mutable_collection("batch_stats"):
                u_state.value, v_state.value = u, v
        u, v = jax.lax.stop_gradient((u, v))
        return jnp.dot(u, jnp.dot(matrix, v, precision="highest"), precision="highest")
