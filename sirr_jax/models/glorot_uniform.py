"""The initial kernels that Keras draws by default."""

from __future__ import annotations

import math
from typing import Any

import jax


def glorot_uniform(key: jax.Array, params: dict[str, Any]) -> dict[str, Any]:
    """Draw all kernels anew, uniform in +-sqrt(6 / (fan in + fan out)) (Glorot and Bengio 2010).

    Args:
        key: a typed PRNG key.
        params: of a network; kernels are [..., in, out], or [..., out, in] where convolutions are transposed.

    Returns:
        The same tree with new float32 kernels; biases and what normalizes are left as they are.
    """
    return {name: _drawn(jax.random.fold_in(key, i), name, x) for i, (name, x) in enumerate(sorted(params.items()))}


def _drawn(key: jax.Array, name: str, x: Any) -> Any:
    if isinstance(x, dict):
        return glorot_uniform(key, x)
    if name != "kernel":
        return x
    *window, inputs, outputs = x.shape
    bound = math.sqrt(6.0 / (math.prod(window) * (inputs + outputs)))
    return jax.random.uniform(key, x.shape, minval=-bound, maxval=bound)
