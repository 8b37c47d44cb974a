"""Glorot-uniform initialization, the default of Keras."""

from __future__ import annotations

import math
from typing import Any

import jax


def glorot_uniform(key: jax.Array, params: dict[str, Any]) -> dict[str, Any]:
    """Draws new kernels, uniform in +-sqrt(6 / (fan in + fan out)) (Glorot and Bengio 2010).

    Args:
        key: typed PRNG key.
        params: parameters of a network; kernels are [..., in, out], or [..., out, in] for transposed convolutions.

    Returns:
        The same tree with new float32 kernels; biases and parameters of normalization layers are unchanged.
    """
    return {name: _draw_leaf(jax.random.fold_in(key, i), name, x) for i, (name, x) in enumerate(sorted(params.items()))}


def _draw_leaf(key: jax.Array, name: str, x: Any) -> Any:
    if isinstance(x, dict):
        return glorot_uniform(key, x)
    if name != "kernel":
        return x
    *window, inputs, outputs = x.shape
    bound = math.sqrt(6.0 / (math.prod(window) * (inputs + outputs)))
    return jax.random.uniform(key, x.shape, minval=-bound, maxval=bound)
