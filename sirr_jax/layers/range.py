"""Conversions between the value ranges [0, 1] and [-1, 1]."""

from __future__ import annotations

import jax


def to_signed(x: jax.Array) -> jax.Array:
    """Maps [0, 1] to [-1, 1].

    Args:
        x: array of any shape, in [0, 1].

    Returns:
        The array in [-1, 1]; same shape and dtype.
    """
    return x * 2.0 - 1.0


def to_unit(x: jax.Array) -> jax.Array:
    """Maps [-1, 1] to [0, 1].

    Args:
        x: array of any shape, in [-1, 1].

    Returns:
        The array in [0, 1]; same shape and dtype.
    """
    return x * 0.5 + 0.5
