"""Conversion between display light and linear light by a power law."""

from __future__ import annotations

import jax

GAMMA = 2.2
"""Exponent that takes display light to linear light."""


def to_linear(image: jax.Array, gamma: float = GAMMA) -> jax.Array:
    """Converts display light to linear light: image^gamma.

    Args:
        image: display light of any shape, at least 0.
        gamma: exponent.

    Returns:
        Linear light, the same shape.
    """
    return image**gamma


def to_display(light: jax.Array, gamma: float = GAMMA) -> jax.Array:
    """Converts linear light to display light: light^(1 / gamma).

    Args:
        light: linear light of any shape, at least 0.
        gamma: exponent of `to_linear`.

    Returns:
        Display light, the same shape.
    """
    return light ** (1.0 / gamma)
