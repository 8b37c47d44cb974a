"""Many random values from one call.

Compiling a call of the random number generator costs more than the values it makes, so what can be drawn
together is: `uniforms` gives uniform values, and the functions below give them the distributions that are
wanted.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp


def uniforms(key: jax.Array, *shapes: tuple[int, ...]) -> tuple[jax.Array, ...]:
    """Draws independent float32 values in [0, 1) by a single call.

    Args:
        key: PRNG key.
        *shapes: of the arrays wanted.

    Returns:
        One array per shape.
    """
    sizes = [math.prod(shape) for shape in shapes]
    drawn = jax.random.uniform(key, (sum(sizes),))
    ends = [sum(sizes[: i + 1]) for i in range(len(sizes))]
    return tuple(drawn[end - size : end].reshape(shape) for end, size, shape in zip(ends, sizes, shapes, strict=True))


def lerp(share: jax.Array, low: float | jax.Array, high: float | jax.Array) -> jax.Array:
    """The value that lies at `share` of the way from `low` to `high`.

    Args:
        share: any shape, in [0, 1].
        low: value at 0.
        high: value at 1.

    Returns:
        The shape of `share`.
    """
    return low + (high - low) * share


def log_lerp(share: jax.Array, low: float, high: float) -> jax.Array:
    """The value whose logarithm lies at `share` of the way from that of `low` to that of `high`.

    Args:
        share: any shape, in [0, 1].
        low: value at 0, above 0.
        high: value at 1.

    Returns:
        The shape of `share`.
    """
    return low * (high / low) ** share


def normal(share: jax.Array) -> jax.Array:
    """The standard normal value below which `share` of all values lie.

    Args:
        share: any shape, in [0, 1); within [-5.3, 5.3] after the transformation.

    Returns:
        The shape of `share`.
    """
    limit = 1.0 - 2.0**-23
    return math.sqrt(2.0) * jax.lax.erf_inv(jnp.clip(2.0 * share - 1.0, -limit, limit))


def categorical(share: jax.Array, probabilities: tuple[float, ...]) -> jax.Array:
    """The index of one of several possibilities.

    Args:
        share: [] in [0, 1).
        probabilities: of the possibilities, at least 0, in any unit. Static.

    Returns:
        [] int32.
    """
    total = math.fsum(probabilities)
    edges = [math.fsum(probabilities[: i + 1]) / total for i in range(len(probabilities) - 1)]
    return jnp.sum(share >= jnp.asarray(edges, jnp.float32)).astype(jnp.int32)
