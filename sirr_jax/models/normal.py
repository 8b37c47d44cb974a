"""Initial kernels from a narrow normal distribution, the custom of image-to-image GANs."""

from __future__ import annotations

from typing import Any

import jax


def normal(key: jax.Array, params: dict[str, Any], *, deviation: float = 0.02) -> dict[str, Any]:
    """Draw all kernels anew, with mean 0.

    Args:
        key: a typed PRNG key.
        params: of a network.
        deviation: the standard deviation.

    Returns:
        The same tree with new float32 kernels; biases and what normalizes are left as they are.
    """
    leaves, structure = jax.tree_util.tree_flatten_with_path(params)
    drawn = [
        deviation * jax.random.normal(jax.random.fold_in(key, i), x.shape) if path[-1].key == "kernel" else x
        for i, (path, x) in enumerate(leaves)
    ]
    return jax.tree_util.tree_unflatten(structure, drawn)
