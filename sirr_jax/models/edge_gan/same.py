"""Keras's padding 'same', in numbers."""

from __future__ import annotations

import jax
from flax.typing import Dtype

from sirr_jax.layers.conv import conv
from sirr_jax.layers.padding import Padding


def same_padding(size: tuple[int, int], *, kernel: int, stride: int = 1, dilation: int = 1) -> Padding:
    """`((top, bottom), (left, right))` by TensorFlow's rule, so that ceil(size / stride) pixels come out.

    The odd pixel goes to the bottom or right: 3x3 with stride 2 on an even size pads (0, 1), where torch pads (1, 1).
    EdgeGAN specification, section 2.

    Args:
        size: height and width of the input.
        kernel: side of the square kernel.
        stride: its step.
        dilation: spacing of its taps.
    """
    reach = dilation * (kernel - 1) + 1
    totals = (max((-(-n // stride) - 1) * stride + reach - n, 0) for n in size)
    rows, columns = ((total // 2, total - total // 2) for total in totals)
    return rows, columns


def same_conv(
    x: jax.Array, features: int, *, name: str, kernel: int = 3, stride: int = 1, dilation: int = 1, dtype: Dtype
) -> jax.Array:
    """Convolve `x` [B, H, W, C] to [B, ceil(H / stride), ceil(W / stride), features]; call it inside a module.

    Args:
        x: the images or features.
        features: output channels.
        name: of the layer.
        kernel: side of the square kernel.
        stride: step in both directions.
        dilation: spacing of the kernel's taps.
        dtype: computation type.
    """
    padding = same_padding(x.shape[1:3], kernel=kernel, stride=stride, dilation=dilation)
    return conv(features, kernel=kernel, stride=stride, dilation=dilation, padding=padding, dtype=dtype, name=name)(x)
