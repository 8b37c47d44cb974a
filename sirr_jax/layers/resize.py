"""Resizing, equal to PyTorch's."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from sirr_jax.errors import UserError
from sirr_jax.layers.pooling import average_pool


def upsample_nearest(x: jax.Array, factor: int) -> jax.Array:
    """Repeats each pixel `factor` times in both directions: `[B, H, W, C] -> [B, H*factor, W*factor, C]`."""
    batch, height, width, channels = x.shape
    shape = (batch, height, factor, width, factor, channels)
    repeated = jnp.broadcast_to(x[:, :, None, :, None, :], shape)
    return repeated.reshape(batch, height * factor, width * factor, channels)


def upsample_bilinear(x: jax.Array, factor: int) -> jax.Array:
    """Enlarges `[B, H, W, C]` bilinearly by `factor`, as PyTorch's `interpolate(align_corners=False)`."""
    batch, height, width, channels = x.shape
    return jax.image.resize(x, (batch, height * factor, width * factor, channels), "bilinear", antialias=False)


def downsample_area(x: jax.Array, factor: int) -> jax.Array:
    """Averages blocks of `factor x factor` pixels: `[B, H, W, C] -> [B, H/factor, W/factor, C]`.

    Raises:
        UserError: H or W is not a multiple of `factor`.
    """
    _, height, width, _ = x.shape
    if height % factor or width % factor:
        raise UserError(f"image size {height}x{width} is not a multiple of {factor}; crop or pad it first")
    return average_pool(x, factor, stride=factor)


def resize_nearest(x: jax.Array, size: Sequence[int]) -> jax.Array:
    """Resizes images as PyTorch's `interpolate(mode="nearest")`: from source pixel `floor(i * in / out)`.

    `jax.image.resize` adds half a pixel, which differs unless the ratio is whole.

    Args:
        x: images [B, H, W, C].
        size: height and width of the output.

    Returns:
        Images [B, height, width, C].
    """
    for axis, target in enumerate(size, start=1):
        source = x.shape[axis]
        if source == target:
            continue
        # In float32, as in PyTorch: at some ratios the result depends on the rounding.
        positions = np.arange(target, dtype=np.float32) * np.float32(np.float32(source) / np.float32(target))
        index = np.minimum(positions.astype(np.int32), source - 1)
        x = _resample(x, axis, index, index, np.zeros(target, np.float32))
    return x


def resize_bilinear(
    x: jax.Array, size: Sequence[int], *, align_corners: bool = False, scale: float | None = None
) -> jax.Array:
    """Resizes images as PyTorch's `interpolate(mode="bilinear")`, which does not antialias.

    Args:
        x: images [B, H, W, C].
        size: height and width of the output.
        align_corners: whether the centers of the corner pixels are aligned, instead of the outer edges.
        scale: PyTorch's `scale_factor`; None if PyTorch was called with a size. It matters if `size` is not exactly
            `scale` times the old size, and only without `align_corners`. A side that keeps its length is not resampled.

    Returns:
        Images [B, height, width, C].
    """
    for axis, target in enumerate(size, start=1):
        source = x.shape[axis]
        if source == target:  # PyTorch copies it whatever the scale
            continue
        x = _resample(x, axis, *_taps(source, target, align_corners, scale))
    return x


def _resample(x: jax.Array, axis: int, low: np.ndarray, high: np.ndarray, weight: np.ndarray) -> jax.Array:
    """Resamples `[B, H, W, C]` along axis 1 or 2: pixel `i` is `(1 - weight[i]) x[low[i]] + weight[i] x[high[i]]`.

    The gradient of a gather is a scatter, which a GPU serializes where many pixels come from one. Here the gradient is
    the product with the matrix of the weights, in float32.
    """
    source = x.shape[axis]

    @jax.custom_vjp
    def resample(x: jax.Array) -> jax.Array:
        lower = jnp.take(x, low, axis=axis)
        if not weight.any():
            return lower
        fraction = jnp.asarray(weight, x.dtype).reshape([-1 if i == axis else 1 for i in range(x.ndim)])
        return lower * (1 - fraction) + jnp.take(x, high, axis=axis) * fraction

    def forward(x: jax.Array) -> tuple[jax.Array, None]:
        return resample(x), None

    def backward(_: None, gradient: jax.Array) -> tuple[jax.Array]:
        matrix = np.zeros((len(low), source), np.float32)
        np.add.at(matrix, (np.arange(len(low)), low), 1 - weight)
        np.add.at(matrix, (np.arange(len(high)), high), weight)
        sums = "btwc,ts->bswc" if axis == 1 else "bhtc,ts->bhsc"
        return (jnp.einsum(sums, gradient.astype(jnp.float32), matrix, precision="highest").astype(gradient.dtype),)

    resample.defvjp(forward, backward)
    return resample(x)


def _taps(
    source: int, target: int, align_corners: bool, scale: float | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns, per target pixel, its two source pixels and the weight of the second."""
    index = np.arange(target, dtype=np.float64)
    # As in PyTorch, the step is float32 and the position is rounded to float32 once; it matters at large indices.
    if align_corners:
        position = index * np.float32((source - 1) / (target - 1) if target > 1 else 0.0)
    else:
        step = np.float32(source / target if scale is None else 1 / scale)
        position = np.maximum((index + 0.5) * step - 0.5, 0.0)
    position = position.astype(np.float32)
    low = np.minimum(position.astype(np.int32), source - 1)
    return low, np.minimum(low + 1, source - 1), (position - low).clip(0.0, 1.0)
