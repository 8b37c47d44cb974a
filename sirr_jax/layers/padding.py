"""Explicit padding."""

from __future__ import annotations

import jax
import jax.numpy as jnp

Padding = tuple[tuple[int, int], tuple[int, int]]


def sides(padding: int | Padding) -> Padding:
    """Returns `((top, bottom), (left, right))` for one number for all four sides, or for such a pair."""
    return ((padding, padding), (padding, padding)) if isinstance(padding, int) else padding


def reflect_pad(x: jax.Array, padding: int | Padding) -> jax.Array:
    """Pads `[B, H, W, C]` by reflection, without repeating the border pixels: PyTorch's `ReflectionPad2d`."""
    rows, columns = sides(padding)
    return jnp.pad(x, ((0, 0), rows, columns, (0, 0)), mode="reflect")


def pad_to_multiple(x: jax.Array, multiple: int) -> jax.Array:
    """Pads `[B, H, W, C]` by reflection at the bottom and right, up to the next multiples of `multiple`."""
    _, height, width, _ = x.shape
    below, right = -height % multiple, -width % multiple
    return reflect_pad(x, ((0, below), (0, right))) if below or right else x
