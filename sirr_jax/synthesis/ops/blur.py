"""Blurring and doubling a reflection with parameters that are drawn at run time."""

from __future__ import annotations

import jax
import jax.numpy as jnp


def gaussian_kernel(sigma: jax.Array, radius: jax.Array, *, taps: int) -> jax.Array:
    """A normalized one-dimensional Gaussian cut off at `radius`, in an array of fixed length.

    Args:
        sigma: [] standard deviation in pixels, above 0.
        radius: [] whole number, at most `taps // 2`; 0 gives the identity.
        taps: odd length of the array.

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
        kernel: [taps], odd and symmetric.
        reflect: [] bool, may be traced: true continues the image mirrored about its outermost pixels (as
            IBCLN), false with zeros (as CEILNet and ERRNet: the border darkens).

    Returns:
        [H, W, C].
    """
    return _convolve(_convolve(image, kernel, 0, reflect), kernel, 1, reflect)


def ghost(image: jax.Array, shift: jax.Array, strength: jax.Array, *, reach: int) -> jax.Array:
    """Doubles an image, as a thick pane does: strength * image + (1 - strength) * shifted image.

    Args:
        image: [H, W, C].
        shift: [2] int32, x before y: where the double lies, in pixels, at most `reach` in absolute value.
        strength: [] weight of the image itself; 1 leaves it unchanged.
        reach: largest shift.

    Returns:
        [H, W, C]; the double continues the border where it has no pixels.
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
    kept = (position >= reach) & (position < length + reach) | reflect
    padded = padded * kept.astype(image.dtype).reshape([-1 if i == axis else 1 for i in range(image.ndim)])
    total = jnp.zeros_like(image)
    for tap in range(taps):
        total = total + kernel[tap] * jax.lax.slice_in_dim(padded, tap, tap + length, axis=axis)
    return total
