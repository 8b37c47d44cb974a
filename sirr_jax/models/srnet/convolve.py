"""One call for convolutions with and without spectral normalization."""

from __future__ import annotations

import jax
from flax.typing import Dtype

from sirr_jax.layers.conv import conv
from sirr_jax.layers.conv_transpose import ConvTranspose
from sirr_jax.layers.spectral import SpectralConv


def convolve(
    x: jax.Array,
    features: int,
    *,
    kernel: int,
    name: str,
    dtype: Dtype,
    stride: int = 1,
    dilation: int = 1,
    padding: int = 0,
    transposed: bool = False,
    bias: bool = True,
    spectral: bool = False,
    train: bool = False,
) -> jax.Array:
    """Apply a new layer `name` of the calling module to `x` [B, H, W, C].

    Args:
        x: features or images.
        features: output channels.
        kernel: side of the square kernel.
        name: of the layer.
        dtype: computation type.
        stride: step in both directions.
        dilation: spacing of the kernel's taps (not for transposed ones).
        padding: zeros on all sides; of a transposed convolution, what is cut off.
        transposed: whether the layer enlarges.
        bias: whether a constant per channel is added.
        spectral: whether the kernel is divided by its largest singular value.
        train: whether the estimate of that value moves.
    """
    options = {"kernel": kernel, "stride": stride, "padding": padding, "bias": bias, "dtype": dtype, "name": name}
    if spectral:
        return SpectralConv(features, dilation=dilation, transposed=transposed, **options)(x, train=train)
    if transposed:
        return ConvTranspose(features, **options)(x)
    return conv(features, dilation=dilation, **options)(x)
