"""Keras's padding "same" as explicit padding."""

from __future__ import annotations

from collections.abc import Sequence

import jax
from flax.typing import Dtype

from sirr_jax.layers.conv import conv
from sirr_jax.layers.padding import Padding


def same_padding(size: Sequence[int], *, kernel: int, stride: int = 1, dilation: int = 1) -> Padding:
    """Returns TensorFlow's padding "same", for an output of ceil(size / stride) pixels.

    The odd pixel is at the bottom or right: 3x3 with stride 2 on an even size pads (0, 1), where PyTorch pads (1, 1).
    EdgeGAN specification, section 2.

    Args:
        size: height and width of the input.
        kernel: side of the square kernel.
        stride: stride of the kernel.
        dilation: dilation of the kernel.

    Returns:
        Padding `((top, bottom), (left, right))`.
    """
    reach = dilation * (kernel - 1) + 1
    totals = (max((-(-n // stride) - 1) * stride + reach - n, 0) for n in size)
    rows, columns = ((total // 2, total - total // 2) for total in totals)
    return rows, columns


def same_conv(
    x: jax.Array, features: int, *, name: str, kernel: int = 3, stride: int = 1, dilation: int = 1, dtype: Dtype
) -> jax.Array:
    """Applies a convolution with padding "same"; call it inside a module.

    Args:
        x: images or features [B, H, W, C].
        features: output channels.
        name: name of the layer.
        kernel: side of the square kernel.
        stride: stride in both directions.
        dilation: dilation of the kernel.
        dtype: computation type.

    Returns:
        Features [B, ceil(H / stride), ceil(W / stride), features].
    """
    padding = same_padding(x.shape[1:3], kernel=kernel, stride=stride, dilation=dilation)
    return conv(features, kernel=kernel, stride=stride, dilation=dilation, padding=padding, dtype=dtype, name=name)(x)
