"""A dilated convolution whose kernel's gradient is a dense one."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp

_NUMBERS = ("NHWC", "HWIO", "NHWC")


def dilated_conv(
    x: jax.Array,
    kernel: jax.Array,
    window_strides: tuple[int, int],
    padding: tuple[tuple[int, int], tuple[int, int]],
    *,
    rhs_dilation: tuple[int, int],
    feature_group_count: int = 1,
    precision: Any = None,
    **rest: Any,
) -> jax.Array:
    """`jax.lax.conv_general_dilated` of images, in the form in which `flax.linen.Conv` calls it.

    The kernel's gradient is itself a convolution whose kernel, the gradient of the output, has holes, and is as large
    as the image: cuDNN takes over ten times as long for it as for the dense one that it equals once the pixels are
    sorted by their place modulo the dilation (a third of the student's whole training step on an H200).

    Args:
        x: [B, H, W, C].
        kernel: [h, w, C / groups, F].
        window_strides: rows and columns; anything but (1, 1), and what is not dilated, is left to JAX.
        padding: zeros added on the four sides.
        rhs_dilation: spacing of the kernel's taps, rows and columns.
        feature_group_count: groups.
        precision: of the products.
        rest: dilation of the input (none is expected) and dimension numbers, as Flax gives them.
    """
    if tuple(window_strides) != (1, 1) or tuple(rhs_dilation) == (1, 1):
        return jax.lax.conv_general_dilated(
            x, kernel, window_strides, padding, rhs_dilation=rhs_dilation, feature_group_count=feature_group_count,
            precision=precision, **rest,
        )  # fmt: skip
    return _dilated(x, kernel, tuple(map(tuple, padding)), tuple(rhs_dilation), feature_group_count, precision)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4, 5))
def _dilated(x, kernel, padding, dilation, groups, precision):  # noqa: ANN001, ANN202
    return _plain(x, kernel, padding, groups, precision, dilation=dilation)


def _forward(x, kernel, padding, dilation, groups, precision):  # noqa: ANN001, ANN202
    return _plain(x, kernel, padding, groups, precision, dilation=dilation), (x, kernel)


def _backward(padding, dilation, groups, precision, saved, gradient):  # noqa: ANN001, ANN202
    x, kernel = saved
    of_input = jax.linear_transpose(lambda x: _plain(x, kernel, padding, groups, precision, dilation=dilation), x)
    blocks = _by_phase(jnp.pad(x, ((0, 0), *padding, (0, 0))), dilation)
    # Rows and columns that the output does not have count nothing.
    rows, columns = (blocks.shape[i] - (kernel.shape[i - 1] - 1) for i in (1, 2))
    spare = (rows * dilation[0] - gradient.shape[1], columns * dilation[1] - gradient.shape[2])
    gradients = _by_phase(jnp.pad(gradient, ((0, 0), (0, spare[0]), (0, spare[1]), (0, 0))), dilation)
    of_kernel = jax.linear_transpose(lambda k: _plain(blocks, k, ((0, 0), (0, 0)), groups, precision), kernel)
    return *of_input(gradient), *of_kernel(gradients)


_dilated.defvjp(_forward, _backward)


def _plain(x, kernel, padding, groups, precision, *, dilation=(1, 1)):  # noqa: ANN001, ANN202
    return jax.lax.conv_general_dilated(
        x, kernel, (1, 1), padding, rhs_dilation=dilation, dimension_numbers=_NUMBERS, feature_group_count=groups,
        precision=precision,
    )  # fmt: skip


def _by_phase(x: jax.Array, dilation: tuple[int, int]) -> jax.Array:
    """`[B, H, W, C] -> [B * rows * columns, H / rows, W / columns, C]`, one image for each place modulo the dilation.

    H and W are filled up with zeros.
    """
    rows, columns = dilation
    x = jnp.pad(x, ((0, 0), (0, -x.shape[1] % rows), (0, -x.shape[2] % columns), (0, 0)))
    batch, height, width, channels = x.shape
    x = x.reshape(batch, height // rows, rows, width // columns, columns, channels)
    return x.transpose(0, 2, 4, 1, 3, 5).reshape(-1, height // rows, width // columns, channels)
