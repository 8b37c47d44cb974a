"""The initial parameters that PyTorch's early versions drew by default."""

from __future__ import annotations

import math
from typing import Any

import jax


def torch_uniform(key: jax.Array, params: dict[str, Any]) -> dict[str, Any]:
    """Draw all kernels and biases anew, uniform in +-1/sqrt(n); n is the number of values that make up an output.

    PyTorch 0.3 and 0.4 started convolutions, transposed ones and linear layers so (AttentiveGAN specification,
    section 5).

    Args:
        key: a typed PRNG key.
        params: of a network whose layers have `kernel` [..., in, out] and perhaps `bias` [out], and nothing else.

    Returns:
        The same tree, float32.
    """
    items = enumerate(sorted(params.items()))
    if "kernel" not in params:
        return {name: torch_uniform(jax.random.fold_in(key, i), layer) for i, (name, layer) in items}
    bound = 1.0 / math.sqrt(math.prod(params["kernel"].shape[:-1]))
    return {
        name: jax.random.uniform(jax.random.fold_in(key, i), leaf.shape, minval=-bound, maxval=bound)
        for i, (name, leaf) in items
    }
