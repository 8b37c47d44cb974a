"""Pooling with explicit padding, equal to PyTorch's."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from sirr_jax.layers.padding import Padding, sides


def max_pool(
    x: jax.Array, window: int, *, stride: int, padding: int | Padding = 0, ceil_mode: bool = False
) -> jax.Array:
    """Takes the maximum over `window x window` pixels; padding is minus infinity.

    Args:
        x: images [B, H, W, C].
        window: side of the square window.
        stride: stride of the window.
        padding: width of the padding on all sides, or `((top, bottom), (left, right))`.
        ceil_mode: whether to include windows that extend beyond the bottom or right if they start inside (PyTorch's
            `ceil_mode`).

    Returns:
        Maxima [B, H', W', C].
    """
    rows, columns = sides(padding)
    if ceil_mode:
        rows = _ceil_mode_padding(x.shape[1], window, stride, rows)
        columns = _ceil_mode_padding(x.shape[2], window, stride, columns)
    # A NumPy constant: under jit a JAX constant is a tracer, with which JAX does not recognize the maximum and has no
    # gradient for it.
    lowest = np.array(-np.inf, x.dtype)
    return jax.lax.reduce_window(
        x, lowest, jax.lax.max, (1, window, window, 1), (1, stride, stride, 1), ((0, 0), rows, columns, (0, 0))
    )


def _ceil_mode_padding(size: int, window: int, stride: int, pad: tuple[int, int]) -> tuple[int, int]:
    """Returns the padding for the number of windows rounded up, without one that would start in the lower padding."""
    low, high = pad
    count = -(-(size + low + high - window) // stride) + 1
    if (count - 1) * stride >= size + low:
        count -= 1
    return low, max((count - 1) * stride + window - size - low, 0)


def average_pool(
    x: jax.Array, window: int, *, stride: int, padding: int | Padding = 0, count_padding: bool = True
) -> jax.Array:
    """Takes the mean over `window x window` pixels; windows that do not fit are left out.

    Args:
        x: images [B, H, W, C].
        window: side of the square window.
        stride: stride of the window.
        padding: width of the zero padding on all sides, or `((top, bottom), (left, right))`.
        count_padding: whether padding counts as pixels of the mean (PyTorch's `count_include_pad`).

    Returns:
        Means [B, H', W', C].
    """
    total = _window_sum(x, window, stride, padding)
    if count_padding:
        return total / window**2
    ones = jnp.ones((1, *x.shape[1:3], 1), x.dtype)
    return total / _window_sum(ones, window, stride, padding)


def _window_sum(x: jax.Array, window: int, stride: int, padding: int | Padding) -> jax.Array:
    pads = ((0, 0), *sides(padding), (0, 0))
    if stride == window and not np.any(pads):
        # Windows that do not overlap are sums of blocks, whose gradient is a copy. The gradient of `reduce_window` is
        # another `reduce_window` over the whole image, with windows of the same size.
        batch, height, width, channels = x.shape
        rows, columns = height // window, width // window
        blocks = x[:, : rows * window, : columns * window].reshape(batch, rows, window, columns, window, channels)
        return blocks.sum(axis=(2, 4))
    zero = np.array(0, x.dtype)  # see max_pool
    return jax.lax.reduce_window(x, zero, jax.lax.add, (1, window, window, 1), (1, stride, stride, 1), pads)


def adaptive_average_pool(x: jax.Array, bins: int | Sequence[int]) -> jax.Array:
    """Takes means over bins of about equal size: PyTorch's `adaptive_avg_pool2d`.

    Bin i of n is the mean over rows `floor(i H / n)` to `ceil((i + 1) H / n)`.

    Args:
        x: images [B, H, W, C].
        bins: number of rows and columns of bins, or one number for both.

    Returns:
        Means [B, rows, columns, C].
    """
    for axis, number in enumerate((bins, bins) if isinstance(bins, int) else bins, start=1):
        size, index = x.shape[axis], np.arange(number)
        start, stop = index * size // number, -(-(index + 1) * size // number)
        inside = (np.arange(size) >= start[:, None]) & (np.arange(size) < stop[:, None])
        weights = jnp.asarray(inside / inside.sum(axis=1, keepdims=True), x.dtype)
        means = jnp.tensordot(weights, x, axes=((1,), (axis,)), precision="highest")
        x = jnp.moveaxis(means, 0, axis)
    return x
