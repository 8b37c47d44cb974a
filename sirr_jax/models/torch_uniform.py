"""Default initialization of early versions of PyTorch."""

from __future__ import annotations

import math
from typing import Any

import jax


def torch_uniform(key: jax.Array, params: dict[str, Any], *, biases: bool = True) -> dict[str, Any]:
    """Draws new kernels and biases, uniform in +-1/sqrt(n), where n is the fan-in.

    This is the initialization of convolutions, transposed convolutions and linear layers in PyTorch 0.3 and 0.4
    (AttentiveGAN specification, section 5).

    Args:
        key: typed PRNG key.
        params: parameters of a network whose layers have only `kernel` [..., in, out] and optionally `bias` [out].
        biases: whether to draw biases too; False keeps them.

    Returns:
        The same tree, float32.
    """
    items = enumerate(sorted(params.items()))
    if "kernel" not in params:
        return {name: torch_uniform(jax.random.fold_in(key, i), layer, biases=biases) for i, (name, layer) in items}
    bound = 1.0 / math.sqrt(math.prod(params["kernel"].shape[:-1]))
    return {
        name: jax.random.uniform(jax.random.fold_in(key, i), leaf.shape, minval=-bound, maxval=bound)
        if biases or name != "bias"
        else leaf
        for i, (name, leaf) in items
    }
