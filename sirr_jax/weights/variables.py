"""Shapes of variables, and variables as flat tables."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from sirr_jax.models import build


def variable_shapes(network_id: str, **model_args: Any) -> dict[str, Any]:
    """Traces a network's initialization; nothing is computed.

    Args:
        network_id: network id, see `sirr_jax.list_networks`.
        **model_args: arguments for `sirr_jax.build`.

    Returns:
        The network's variables as nested dicts of `jax.ShapeDtypeStruct`.

    Raises:
        UserError: The id or an argument is unknown.
    """
    module = build(network_id, **model_args)
    inputs = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in module.example_shapes()]
    return jax.eval_shape(functools.partial(module.init, train=True), jax.random.key(0), *inputs)


def flatten(tree: Mapping[str, Any], parents: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    """Flattens nested mappings.

    Args:
        tree: nested mappings, for example variables.
        parents: path of `tree`, put before all paths.

    Returns:
        `{("params", "conv1", "kernel"): array, ...}` in the tree's order.
    """
    flat: dict[tuple[str, ...], Any] = {}
    for name, value in tree.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, (*parents, name))
        else:
            flat[(*parents, name)] = value
    return flat
