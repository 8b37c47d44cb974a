"""Transposed convolution, equal to PyTorch's `ConvTranspose2d`."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from flax.typing import Dtype

from sirr_jax.layers.conv import he_uniform
from sirr_jax.layers.subpixel import interleave

# With a 4x4 kernel, stride 2 and padding 1, an even output row uses taps 3 (source row i-1) and 1 (row i); an odd one
# uses taps 2 (row i) and 0 (row i+1).
_TAPS = np.array([[3, 1], [2, 0]])
_NUMBERS = ("NHWC", "HWIO", "NHWC")


def conv_transpose(
    x: jax.Array, kernel: jax.Array, *, stride: int = 2, padding: int = 1, output_padding: int = 0
) -> jax.Array:
    """Applies a transposed convolution.

    With kernel 4, stride 2 and padding 1 it runs in sub-pixel form, one 2x2 convolution at the low resolution: the same
    sums in half the time on a CPU. The gradients are computed from the convolution that it transposes: XLA does not
    recognize the kernel's gradient of either form as a convolution, and takes up to hundreds of times as long on a CPU.

    Args:
        x: features [B, H, W, in], of the kernel's type.
        kernel: kernel [k, k, in, out], with the taps in the order of PyTorch's weight (in, out, k, k).
        stride: distance between two input pixels in the output, in pixels.
        padding: number of rows and columns removed on every side.
        output_padding: number of rows and columns added at the bottom and at the right.

    Returns:
        Features [B, H', W', out] with H' = (H - 1) * stride - 2 * padding + k + output_padding.
    """
    return _transposed(x, kernel, stride, padding, output_padding)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4))
def _transposed(x: jax.Array, kernel: jax.Array, stride: int, padding: int, output_padding: int) -> jax.Array:
    k = kernel.shape[0]
    if (k, stride, padding, output_padding) == (4, 2, 1, 0):
        return _subpixel(x, kernel)
    low = k - 1 - padding
    return jax.lax.conv_general_dilated(
        x,
        kernel[::-1, ::-1],
        window_strides=(1, 1),
        padding=((low, low + output_padding),) * 2,
        lhs_dilation=(stride, stride),
        dimension_numbers=_NUMBERS,
    )


def _forward(x, kernel, stride, padding, output_padding):  # noqa: ANN001, ANN202
    return _transposed(x, kernel, stride, padding, output_padding), (x, kernel)


def _backward(stride, padding, output_padding, saved, gradient):  # noqa: ANN001, ANN202, ARG001
    x, kernel = saved

    def gather(kernel: jax.Array) -> jax.Array:
        return jax.lax.conv_general_dilated(
            gradient,
            kernel.swapaxes(2, 3),
            window_strides=(stride, stride),
            padding=((padding, padding),) * 2,
            dimension_numbers=_NUMBERS,
        )

    x_gradient, kernel_vjp = jax.vjp(gather, kernel)
    return x_gradient, *kernel_vjp(x)


_transposed.defvjp(_forward, _backward)


def _subpixel(x: jax.Array, kernel: jax.Array) -> jax.Array:
    _, _, channels, features = kernel.shape
    # (parity, tap) by rows, then by columns -> a 2x2 kernel with the parities among its outputs.
    folded = kernel[_TAPS][:, :, _TAPS]
    folded = folded.transpose(1, 3, 4, 0, 2, 5).reshape(2, 2, channels, 4 * features)
    corners = jax.lax.conv_general_dilated(
        x, folded, window_strides=(1, 1), padding=((1, 1), (1, 1)), dimension_numbers=_NUMBERS
    )
    return interleave(corners, features)


class ConvTranspose(nn.Module):
    """Transposed convolution with a bias; see `conv_transpose` for the sizes.

    The parameter `kernel` is [k, k, in, out], with the taps in the order of PyTorch's weight (in, out, k, k) and
    Keras's (k, k, out, in).

    Attributes:
        features: output channels.
        kernel: side of the square kernel.
        stride: distance between two input pixels in the output, in pixels.
        padding: number of rows and columns removed on every side.
        output_padding: number of rows and columns added at the bottom and at the right.
        bias: whether to add a bias per channel.
        dtype: computation type; parameters are float32.
    """

    features: int
    kernel: int = 4
    stride: int = 2
    padding: int = 1
    output_padding: int = 0
    bias: bool = True
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Applies the layer to `x` [B, H, W, C]."""
        shape = (self.kernel, self.kernel, x.shape[-1], self.features)
        kernel = self.param("kernel", he_uniform, shape, jnp.float32)
        y = conv_transpose(
            x.astype(self.dtype),
            kernel.astype(self.dtype),
            stride=self.stride,
            padding=self.padding,
            output_padding=self.output_padding,
        )
        if self.bias:
            bias = self.param("bias", nn.initializers.zeros, (self.features,), jnp.float32)
            y = y + bias.astype(self.dtype)[None, None, None]
        return y
