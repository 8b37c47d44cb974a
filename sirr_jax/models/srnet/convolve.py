"""Convolutions with and without spectral normalization."""

from __future__ import annotations

from typing import Any

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
    """Applies a new convolution of the calling module.

    Args:
        x: features or images [B, H, W, C].
        features: output channels.
        kernel: side of the square kernel.
        name: name of the layer.
        dtype: computation type.
        stride: stride in both directions.
        dilation: dilation of the kernel; without effect on a transposed convolution.
        padding: width of the zero padding on all sides; for a transposed convolution, of the removed border.
        transposed: whether the convolution is transposed.
        bias: whether to add a bias per channel.
        spectral: whether to apply spectral normalization.
        train: whether to update the vectors of spectral normalization.

    Returns:
        Features [B, H', W', features].
    """
    options: dict[str, Any] = {
        "kernel": kernel,
        "stride": stride,
        "padding": padding,
        "bias": bias,
        "dtype": dtype,
        "name": name,
    }
    if spectral:
        return SpectralConv(features, dilation=dilation, transposed=transposed, **options)(x, train=train)
    if transposed:
        return ConvTranspose(features, **options)(x)
    return conv(features, dilation=dilation, **options)(x)
