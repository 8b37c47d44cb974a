"""Initialization of kernels from a narrow normal distribution, as usual in image-to-image GANs."""

from __future__ import annotations

from typing import Any

import jax


def normal(key: jax.Array, params: dict[str, Any], *, deviation: float = 0.02) -> dict[str, Any]:
    """Draws new kernels from a normal distribution with mean 0.

    Args:
        key: typed PRNG key.
        params: parameters of a network.
        deviation: standard deviation.

    Returns:
        The same tree with new float32 kernels; biases and parameters of normalization layers are unchanged.
    """
    leaves, structure = jax.tree_util.tree_flatten_with_path(params)
    new_leaves = [
        deviation * jax.random.normal(jax.random.fold_in(key, i), x.shape) if path[-1].key == "kernel" else x
        for i, (path, x) in enumerate(leaves)
    ]
    return jax.tree_util.tree_unflatten(structure, new_leaves)
