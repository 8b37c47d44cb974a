"""Convolutions with spectral normalization, equal to PyTorch's `spectral_norm`."""

from __future__ import annotations

from typing import cast

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.typing import Dtype

from sirr_jax.layers.conv import he_uniform
from sirr_jax.layers.conv_transpose import conv_transpose
from sirr_jax.layers.dilated import dilated_conv
from sirr_jax.layers.padding import Padding, sides


def _unit(x: jax.Array) -> jax.Array:
    """Scales `x` to length 1, as PyTorch's `normalize` with epsilon 1e-12."""
    return x / jnp.maximum(jnp.linalg.norm(x), 1e-12)


class SpectralConv(nn.Module):
    """Convolution or transposed convolution with spectral normalization (Miyato et al. 2018).

    The kernel, as a matrix W with one row per output channel, is divided by sigma = u^T W v, an estimate of its largest
    singular value. The vectors `u` [features] and `v` [in * k * k] are in the collection `batch_stats`. With `train`
    they are first updated by one step of the power iteration, and stored if the collection is mutable; gradients pass
    through sigma but not through u and v. In evaluation they are constant. v is ordered by input channels, rows and
    columns, so u and v can be exchanged with PyTorch's `weight_u` and `weight_v`.

    PyTorch draws v at random, which makes sigma meaningless until the first training step; here v is initially W^T u.

    Attributes:
        features: output channels.
        kernel: side of the square kernel.
        stride: stride in both directions.
        dilation: dilation of the kernel; without effect on a transposed convolution.
        padding: width of the zero padding on all sides, or `((top, bottom), (left, right))`; for a transposed
            convolution one number, see `conv_transpose`.
        transposed: whether the convolution is transposed.
        bias: whether to add a bias per channel.
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
        """Applies the layer to `x` [B, H, W, C]; with `train`, updates u and v first."""
        shape = (self.kernel, self.kernel, x.shape[-1], self.features)
        kernel = self.param("kernel", he_uniform, shape, jnp.float32)
        kernel = (kernel / self._sigma(kernel, train)).astype(self.dtype)
        x = x.astype(self.dtype)
        if self.transposed:
            # Pairs of paddings exist for plain convolutions only.
            y = conv_transpose(x, kernel, stride=self.stride, padding=cast(int, self.padding))
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

        def right_vector(u: jax.Array) -> jax.Array:
            return _unit(jnp.dot(u, fixed, precision="highest"))

        def random_unit_vector() -> jax.Array:
            return _unit(jax.random.normal(self.make_rng("params"), (self.features,), jnp.float32))

        u_state = self.variable("batch_stats", "u", random_unit_vector)
        v_state = self.variable("batch_stats", "v", lambda: right_vector(u_state.value))
        u, v = u_state.value, v_state.value
        if train and not self.is_initializing():
            v = right_vector(u)
            u = _unit(jnp.dot(fixed, v, precision="highest"))
            if self.is_mutable_collection("batch_stats"):
                u_state.value, v_state.value = u, v
        u, v = jax.lax.stop_gradient((u, v))
        return jnp.dot(u, jnp.dot(matrix, v, precision="highest"), precision="highest")
