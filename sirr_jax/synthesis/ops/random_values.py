"""Random values of several distributions from one call of the generator.

Compiling a call of the random number generator costs more than the values themselves, so values are drawn together:
`uniforms` returns uniform values, and the functions below transform them to other distributions.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp


def uniforms(key: jax.Array, *shapes: tuple[int, ...]) -> tuple[jax.Array, ...]:
    """Draws independent float32 values in [0, 1) in a single call.

    Args:
        key: PRNG key.
        *shapes: shapes of the arrays.

    Returns:
        One array per shape.
    """
    sizes = [math.prod(shape) for shape in shapes]
    drawn = jax.random.uniform(key, (sum(sizes),))
    ends = [sum(sizes[: i + 1]) for i in range(len(sizes))]
    return tuple(drawn[end - size : end].reshape(shape) for end, size, shape in zip(ends, sizes, shapes, strict=True))


def lerp(position: jax.Array, low: float | jax.Array, high: float | jax.Array) -> jax.Array:
    """Interpolates linearly from `low` to `high`.

    Args:
        position: any shape, in [0, 1].
        low: value at position 0.
        high: value at position 1.

    Returns:
        The shape of `position`.
    """
    return low + (high - low) * position


def log_lerp(position: jax.Array, low: float, high: float) -> jax.Array:
    """Interpolates from `low` to `high`, linearly in the logarithm.

    Args:
        position: any shape, in [0, 1].
        low: value at position 0, above 0.
        high: value at position 1, above 0.

    Returns:
        The shape of `position`.
    """
    return low * (high / low) ** position


def normal(uniform: jax.Array) -> jax.Array:
    """Transforms uniform values to standard normal ones by the quantile function.

    Args:
        uniform: any shape, in [0, 1).

    Returns:
        The shape of `uniform`, within [-5.3, 5.3].
    """
    limit = 1.0 - 2.0**-23
    return math.sqrt(2.0) * jax.lax.erf_inv(jnp.clip(2.0 * uniform - 1.0, -limit, limit))


def categorical(uniform: jax.Array, probabilities: tuple[float, ...]) -> jax.Array:
    """Chooses one of several possibilities.

    Args:
        uniform: [] in [0, 1).
        probabilities: weight of each possibility, at least 0; they need not sum to 1. Static.

    Returns:
        [] int32 index of the possibility.
    """
    total = math.fsum(probabilities)
    edges = [math.fsum(probabilities[: i + 1]) / total for i in range(len(probabilities) - 1)]
    return jnp.sum(uniform >= jnp.asarray(edges, jnp.float32)).astype(jnp.int32)
