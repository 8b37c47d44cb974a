"""Convolutions with explicit padding."""

from __future__ import annotations

import jax.numpy as jnp
from flax import linen as nn
from flax.typing import Dtype

from sirr_jax.layers.dilated import dilated_conv
from sirr_jax.layers.padding import Padding, sides

# Uniform instead of normal: the results are as good, and the initialization of a network of a hundred kernels compiles
# twice as fast.
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
    initial_bias: float = 0.0,
    dtype: Dtype = jnp.float32,
    name: str | None = None,
) -> nn.Conv:
    """Returns a 2-D convolution `[B, H, W, C] -> [B, H', W', features]` with zero padding.

    `SAME` differs from PyTorch's padding at even strides, so the padding is explicit: `padding` pixels on every side,
    by default `dilation * (kernel - 1) // 2`, which keeps H and W at stride 1 for odd kernels.

    Args:
        features: output channels.
        kernel: side of the square kernel.
        stride: stride in both directions.
        dilation: dilation of the kernel.
        padding: width of the zero padding on all four sides, or `((top, bottom), (left, right))`.
        groups: number of groups of channels that are convolved separately; one group per channel is a depthwise
            convolution.
        bias: whether to add a bias per channel.
        zero: whether the initial kernel is zero, for output layers that must start as "no change"; else He-uniform.
        initial_bias: initial value of the bias.
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
        bias_init=nn.initializers.constant(initial_bias),
        kernel_init=nn.initializers.zeros if zero else he_uniform,
        dtype=dtype,
        conv_general_dilated=dilated_conv,
        name=name,
    )
