"""Uniform draws of many values at once.

Compiling a draw costs far more than the values it makes, so what can be drawn together is.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

Limits = tuple[float, float]


def uniforms(key: jax.Array, *limits: Limits) -> tuple[jax.Array, ...]:
    """Draws one float32 value per range.

    Args:
        key: PRNG key.
        *limits: low and high of each value.

    Returns:
        As many [] arrays.
    """
    return tuple(between(share, *pair) for share, pair in zip(shares(key, len(limits)), limits, strict=True))


def shares(key: jax.Array, count: int) -> tuple[jax.Array, ...]:
    """Draws independent float32 values in [0, 1).

    Args:
        key: PRNG key.
        count: how many.

    Returns:
        `count` [] arrays.
    """
    drawn = jax.random.uniform(key, (count,))
    return tuple(drawn[i] for i in range(count))


def between(share: jax.Array, low: float | jax.Array, high: float | jax.Array) -> jax.Array:
    """The value that lies at `share` of the way from `low` to `high`.

    Args:
        share: any shape, in [0, 1].
        low: value at 0.
        high: value at 1.

    Returns:
        The shape of `share`.
    """
    return low + (high - low) * share


def between_logarithms(share: jax.Array, low: float, high: float) -> jax.Array:
    """The value whose logarithm lies at `share` of the way from that of `low` to that of `high`.

    Args:
        share: any shape, in [0, 1].
        low: value at 0, above 0.
        high: value at 1.

    Returns:
        The shape of `share`.
    """
    return low * (high / low) ** share
