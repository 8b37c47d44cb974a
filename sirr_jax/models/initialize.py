"""Initialization of parameters, compiled without optimization."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn


def initialize(module: nn.Module, key: jax.Array, *shapes: tuple[int, ...]) -> dict[str, Any]:
    """Initializes the variables of a network.

    The initialization compiles a hundred small draws that run once. Without the compiler's optimizations it is three
    times faster.

    Args:
        module: network; it is initialized with `train=True`, so that parts which only losses use exist.
        key: typed PRNG key.
        *shapes: shapes of its inputs (float32).

    Returns:
        The variables, a plain dict: `{"params": ..., ...}`.
    """

    def draw(key: jax.Array) -> dict[str, Any]:
        return dict(module.init(key, *(jnp.zeros(shape) for shape in shapes), train=True))

    options: dict[str, Any] = {"xla_backend_optimization_level": 0}
    return jax.jit(draw).lower(key).compile(compiler_options=options)(key)
