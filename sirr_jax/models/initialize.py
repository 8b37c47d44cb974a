"""Initial parameters, compiled without optimization."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn


def initialize(module: nn.Module, key: jax.Array, *shapes: tuple[int, ...]) -> dict[str, Any]:
    """Draw a network's variables.

    Initializing a network compiles a hundred small draws that run once, so the compiler's optimizations are off: it
    is three times faster that way.

    Args:
        module: a network; it is initialized with `train=True`, so that parts that only losses use exist.
        key: a typed PRNG key.
        *shapes: shapes of its inputs (float32).

    Returns:
        The variables, a plain dict: `{"params": ..., ...}`.
    """

    def draw(key: jax.Array) -> dict[str, Any]:
        return module.init(key, *(jnp.zeros(shape) for shape in shapes), train=True)

    compiled = jax.jit(draw).lower(key).compile(compiler_options={"xla_backend_optimization_level": 0})
    return compiled(key)
