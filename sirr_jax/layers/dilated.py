"""Dilated convolution whose kernel gradient is computed as a dense convolution."""

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
    """Applies `jax.lax.conv_general_dilated` to images, with the signature that `flax.linen.Conv` calls.

    JAX's gradient with respect to the kernel is a convolution by the gradient of the output, dilated and as large as
    the image. cuDNN takes over ten times as long for it as for the equal dense convolution of the pixels sorted by
    their position modulo the dilation; on an H200 it was a third of the student's training step.

    Args:
        x: features [B, H, W, C].
        kernel: kernel [h, w, C / groups, F].
        window_strides: strides of rows and columns; convolutions with other strides than (1, 1), and those without
            dilation, are JAX's.
        padding: zero padding `((top, bottom), (left, right))`.
        rhs_dilation: dilation of the kernel's rows and columns.
        feature_group_count: number of groups.
        precision: precision of the products.
        **rest: dilation of the input (must be none) and dimension numbers, as Flax passes them.

    Returns:
        Features [B, H', W', F].
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
    x_transpose = jax.linear_transpose(lambda x: _plain(x, kernel, padding, groups, precision, dilation=dilation), x)
    blocks = _by_phase(jnp.pad(x, ((0, 0), *padding, (0, 0))), dilation)
    # Rows and columns beyond the output have zero gradient.
    rows, columns = (blocks.shape[i] - (kernel.shape[i - 1] - 1) for i in (1, 2))
    spare = (rows * dilation[0] - gradient.shape[1], columns * dilation[1] - gradient.shape[2])
    gradients = _by_phase(jnp.pad(gradient, ((0, 0), (0, spare[0]), (0, spare[1]), (0, 0))), dilation)
    kernel_transpose = jax.linear_transpose(lambda k: _plain(blocks, k, ((0, 0), (0, 0)), groups, precision), kernel)
    return *x_transpose(gradient), *kernel_transpose(gradients)


_dilated.defvjp(_forward, _backward)


def _plain(x, kernel, padding, groups, precision, *, dilation=(1, 1)):  # noqa: ANN001, ANN202
    return jax.lax.conv_general_dilated(
        x, kernel, (1, 1), padding, rhs_dilation=dilation, dimension_numbers=_NUMBERS, feature_group_count=groups,
        precision=precision,
    )  # fmt: skip


def _by_phase(x: jax.Array, dilation: tuple[int, int]) -> jax.Array:
    """Splits `[B, H, W, C]` by position modulo the dilation: `[B * rows * columns, H / rows, W / columns, C]`.

    H and W are padded with zeros to multiples of the dilation.
    """
    rows, columns = dilation
    x = jnp.pad(x, ((0, 0), (0, -x.shape[1] % rows), (0, -x.shape[2] % columns), (0, 0)))
    batch, height, width, channels = x.shape
    x = x.reshape(batch, height // rows, rows, width // columns, columns, channels)
    return x.transpose(0, 2, 4, 1, 3, 5).reshape(-1, height // rows, width // columns, channels)
