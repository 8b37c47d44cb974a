"""Padding that is written out."""

from __future__ import annotations

import jax
import jax.numpy as jnp

Padding = tuple[tuple[int, int], tuple[int, int]]


def sides(padding: int | Padding) -> Padding:
    """`((top, bottom), (left, right))` for a number that stands for all four sides, or for itself."""
    return ((padding, padding), (padding, padding)) if isinstance(padding, int) else padding


def reflect_pad(x: jax.Array, padding: int | Padding) -> jax.Array:
    """Mirror `[B, H, W, C]` at its border pixels, which are not repeated: torch's `ReflectionPad2d`."""
    rows, columns = sides(padding)
    return jnp.pad(x, ((0, 0), rows, columns, (0, 0)), mode="reflect")


def pad_to_multiple(x: jax.Array, multiple: int) -> jax.Array:
    """Reflect-pad `[B, H, W, C]` at the bottom and right until H and W are multiples of `multiple`."""
    _, height, width, _ = x.shape
    below, right = -height % multiple, -width % multiple
    return reflect_pad(x, ((0, below), (0, right))) if below or right else x
