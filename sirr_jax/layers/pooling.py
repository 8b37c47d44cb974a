"""Pooling with the padding written out, equal to PyTorch's."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from sirr_jax.layers.padding import Padding, sides


def max_pool(
    x: jax.Array, window: int, *, stride: int, padding: int | Padding = 0, ceil_mode: bool = False
) -> jax.Array:
    """Maximum over `window x window` of `[B, H, W, C]`; what is padded never wins.

    Args:
        x: the images.
        window: side of the square window.
        stride: its step.
        padding: on all sides, or `((top, bottom), (left, right))`.
        ceil_mode: keep windows that hang over the bottom or right, if they start inside (torch's `ceil_mode`).
    """
    pads = sides(padding)
    if ceil_mode:
        pads = tuple(_reach(n, window, stride, pad) for n, pad in zip(x.shape[1:3], pads, strict=True))
    # NumPy's: what JAX makes is a tracer under jit, and then the maximum is not recognized and has no gradient.
    lowest = np.array(-np.inf, x.dtype)
    return jax.lax.reduce_window(
        x, lowest, jax.lax.max, (1, window, window, 1), (1, stride, stride, 1), ((0, 0), *pads, (0, 0))
    )


def _reach(size: int, window: int, stride: int, pad: tuple[int, int]) -> tuple[int, int]:
    """Padding with as many windows as rounding up gives, save one that would start in the lower padding."""
    low, high = pad
    count = -(-(size + low + high - window) // stride) + 1
    if (count - 1) * stride >= size + low:
        count -= 1
    return low, max((count - 1) * stride + window - size - low, 0)


def average_pool(
    x: jax.Array, window: int, *, stride: int, padding: int | Padding = 0, count_padding: bool = True
) -> jax.Array:
    """Mean over `window x window` of `[B, H, W, C]`; windows that do not fit are left out.

    Args:
        x: the images.
        window: side of the square window.
        stride: its step.
        padding: zeros on all sides, or `((top, bottom), (left, right))`.
        count_padding: divide by the whole window at the border too (torch's `count_include_pad`).
    """
    total = _window_sum(x, window, stride, padding)
    if count_padding:
        return total / window**2
    ones = jnp.ones((1, *x.shape[1:3], 1), x.dtype)
    return total / _window_sum(ones, window, stride, padding)


def _window_sum(x: jax.Array, window: int, stride: int, padding: int | Padding) -> jax.Array:
    pads = ((0, 0), *sides(padding), (0, 0))
    if stride == window and not np.any(pads):
        # Windows that do not overlap: sums of blocks, whose gradient is a copy. That of `reduce_window` is another
        # one, over all of the image and as large as the window.
        batch, height, width, channels = x.shape
        rows, columns = height // window, width // window
        blocks = x[:, : rows * window, : columns * window].reshape(batch, rows, window, columns, window, channels)
        return blocks.sum(axis=(2, 4))
    zero = np.array(0, x.dtype)  # see max_pool
    return jax.lax.reduce_window(x, zero, jax.lax.add, (1, window, window, 1), (1, stride, stride, 1), pads)


def adaptive_average_pool(x: jax.Array, bins: int | tuple[int, int]) -> jax.Array:
    """`[B, H, W, C] -> [B, *bins, C]`: bin i of n is the mean over rows `floor(i H / n)` to `ceil((i+1) H / n)`.

    One number of bins stands for both directions. torch's `adaptive_avg_pool2d`.
    """
    for axis, number in enumerate((bins, bins) if isinstance(bins, int) else bins, start=1):
        size, index = x.shape[axis], np.arange(number)
        start, stop = index * size // number, -(-(index + 1) * size // number)
        inside = (np.arange(size) >= start[:, None]) & (np.arange(size) < stop[:, None])
        weights = jnp.asarray(inside / inside.sum(axis=1, keepdims=True), x.dtype)
        means = jnp.tensordot(weights, x, axes=((1,), (axis,)), precision="highest")
        x = jnp.moveaxis(means, 0, axis)
    return x
