"""Transposed convolution, equal to torch's `ConvTranspose2d`."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from flax.typing import Dtype

from sirr_jax.layers.conv import he_uniform
from sirr_jax.layers.subpixel import interleave

# Of the four taps of a 4x4 kernel with stride 2 and padding 1, an even output row meets taps 3 (source row i-1) and 1
# (row i), an odd one taps 2 (row i) and 0 (row i+1).
_TAPS = np.array([[3, 1], [2, 0]])
_NUMBERS = ("NHWC", "HWIO", "NHWC")


def conv_transpose(
    x: jax.Array, kernel: jax.Array, *, stride: int = 2, padding: int = 1, output_padding: int = 0
) -> jax.Array:
    """`[B, H, W, C] -> [B, H', W', features]`, H' = (H - 1) * stride - 2 * padding + kernel + output_padding.

    With kernel 4, stride 2, padding 1 it runs in sub-pixel form, one 2x2 convolution at the low resolution: the same
    sums in half the time on a CPU. Its gradients are those of the convolution of which it is the transpose: XLA does
    not know the kernel's gradient of either form for one, and takes up to hundreds of times as long on a CPU.

    Args:
        x: images of the kernel's type.
        kernel: [k, k, in, out], its taps in the order of torch's weight (in, out, k, k).
        stride: how many output pixels apart two input pixels lie.
        padding: rows and columns cut off on every side.
        output_padding: rows and columns added below and to the right.
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

    of_x, of_kernel = jax.vjp(gather, kernel)
    return of_x, *of_kernel(x)


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
    """`[B, H, W, C] -> [B, H', W', features]`; sizes and arguments as in `conv_transpose`, plus a bias.

    `kernel` is stored as [k, k, in, out], its taps in the order of torch's weight (in, out, k, k) and Keras's
    (k, k, out, in).
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
        """Apply the layer to `x` [B, H, W, C]."""
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
