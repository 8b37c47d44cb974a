"""Blur and double image with parameters that are known only at run time."""

from __future__ import annotations

import jax
import jax.numpy as jnp


def gaussian_kernel(sigma: jax.Array, radius: jax.Array, *, taps: int) -> jax.Array:
    """Returns a normalized one-dimensional Gaussian, truncated at `radius`, in an array of fixed length.

    Args:
        sigma: [] standard deviation in pixels, above 0.
        radius: [] truncation radius in pixels, a whole number, at most `taps // 2`; 0 gives the identity.
        taps: length of the array, odd.

    Returns:
        [taps] float32, sum 1, zero beyond the radius.
    """
    offset = jnp.arange(taps, dtype=jnp.float32) - taps // 2
    weight = jnp.exp(-0.5 * (offset / sigma) ** 2)
    weight = jnp.where(jnp.abs(offset) <= radius, weight, 0.0)
    return weight / jnp.sum(weight)


def gaussian_blur(image: jax.Array, kernel: jax.Array, *, reflect: jax.Array | bool = True) -> jax.Array:
    """Convolves an image along both axes with the same kernel.

    Args:
        image: [H, W, C], larger than half the kernel.
        kernel: [taps] weights, odd in number and symmetric.
        reflect: [] bool, may be traced; true pads by reflection about the outermost pixels (as in IBCLN), false
            with zeros (as in CEILNet and ERRNet, where the border darkens).

    Returns:
        [H, W, C].
    """
    return _convolve(_convolve(image, kernel, 0, reflect), kernel, 1, reflect)


def ghost(image: jax.Array, shift: jax.Array, strength: jax.Array, *, reach: int) -> jax.Array:
    """Adds a double image, as a thick pane does: strength * image + (1 - strength) * shifted image.

    Args:
        image: [H, W, C].
        shift: [2] int32, displacement of the double in pixels, x before y, at most `reach` in absolute value.
        strength: [] weight of the first image; 1 leaves the image unchanged.
        reach: largest shift in pixels. Static.

    Returns:
        [H, W, C]; the double repeats the border where it has no pixels.
    """
    padded = jnp.pad(image, ((reach, reach), (reach, reach), (0, 0)), mode="edge")
    start = (reach - shift[1], reach - shift[0], jnp.zeros_like(shift[0]))
    double = jax.lax.dynamic_slice(padded, start, image.shape)
    return strength * image + (1.0 - strength) * double


def _convolve(image: jax.Array, kernel: jax.Array, axis: int, reflect: jax.Array | bool) -> jax.Array:
    taps, length = kernel.shape[0], image.shape[axis]
    reach = taps // 2
    padding = [(0, 0)] * image.ndim
    padding[axis] = (reach, reach)
    padded = jnp.pad(image, padding, mode="reflect")
    position = jnp.arange(length + 2 * reach)
    inside = (position >= reach) & (position < length + reach) | reflect
    padded = padded * inside.astype(image.dtype).reshape([-1 if i == axis else 1 for i in range(image.ndim)])
    total = jnp.zeros_like(image)
    for tap in range(taps):
        total = total + kernel[tap] * jax.lax.slice_in_dim(padded, tap, tap + length, axis=axis)
    return total
