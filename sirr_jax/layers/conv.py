"""Convolutions whose padding is written out."""

from __future__ import annotations

import jax.numpy as jnp
from flax import linen as nn
from flax.typing import Dtype

from sirr_jax.layers.dilated import dilated_conv
from sirr_jax.layers.padding import Padding, sides

# Uniform: as good as normal here, and a network of a hundred kernels initializes (compiles) twice as fast.
he_uniform = nn.initializers.variance_scaling(2.0, "fan_in", "uniform")


def conv(
    features: int,
    *,
    kernel: int = 3,
    stride: int = 1,
    dilation: int = 1,
    padding: int | Padding | None = None,
    groups: int = 1,
    bias: bool = True,
    zero: bool = False,
    dtype: Dtype = jnp.float32,
    name: str | None = None,
) -> nn.Conv:
    """A 2-D convolution `[B, H, W, C] -> [B, H', W', features]` with zero padding.

    `SAME` differs from PyTorch's padding for even strides, so the padding is explicit: `padding` pixels on every
    side, by default `dilation * (kernel - 1) // 2` (which keeps H and W at stride 1 for odd kernels).

    Args:
        features: output channels.
        kernel: side of the square kernel.
        stride: step in both directions.
        dilation: spacing of the kernel's taps.
        padding: zeros added on each of the four sides, or `((top, bottom), (left, right))`.
        groups: the channels are convolved in this many separate groups; all of them make it a depthwise convolution.
        bias: whether a constant per channel is added.
        zero: start from a zero kernel (output layers that must begin as "no change"); else He-uniform.
        dtype: computation type; parameters are always float32.
        name: Flax module name.
    """
    pad = dilation * (kernel - 1) // 2 if padding is None else padding
    return nn.Conv(
        features,
        (kernel, kernel),
        strides=(stride, stride),
        kernel_dilation=(dilation, dilation),
        padding=sides(pad),
        feature_group_count=groups,
        use_bias=bias,
        kernel_init=nn.initializers.zeros if zero else he_uniform,
        dtype=dtype,
        conv_general_dilated=dilated_conv,
        name=name,
    )
