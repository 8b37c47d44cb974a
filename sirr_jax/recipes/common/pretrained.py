"""Weights to start a training from: any of a system's networks, from a model file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from sirr_jax.errors import UserError
from sirr_jax.recipes.base import Tree
from sirr_jax.weights.model_file import load_model
from sirr_jax.weights.variables import flatten


def start_from(
    path: str,
    wanted: Mapping[str, tuple[str, Mapping[str, Any]]],
    variables: Tree,
    *,
    option: str = "config.init_from",
) -> Tree:
    """Replace freshly drawn variables by those of a model file, as far as it has them.

    A converted generator alone is enough: the discriminator then starts from its own draw.

    Args:
        path: a `.safetensors` model that a training run or `sirr convert` wrote.
        wanted: role -> network id and arguments that the recipe trains.
        variables: role -> freshly drawn variables, `{"params": ..., "batch_stats": ...}`; their shapes are enough if
            one role alone is wanted.
        option: what the errors call the choice of the file.

    Returns:
        `variables` with float32 copies of what the file holds.

    Raises:
        UserError: if the file holds none of the networks, or one with other arguments or shapes.
    """
    model = load_model(path)
    found = {role: network for role, network in model.networks.items() if role in wanted}
    if not found:
        raise UserError(
            f"{path} holds {', '.join(network.id for network in model.networks.values())}; expected one or more of "
            f"{', '.join(network_id for network_id, _ in wanted.values())}: choose another {option}"
        )
    started = dict(variables)
    for role, network in found.items():
        network_id, model_args = wanted[role]
        if (network.id, dict(network.model_args)) != (network_id, dict(model_args)):
            raise UserError(
                f"{path} holds {network.id} {network.model_args}, and the config trains another: expected {network_id} "
                f"{dict(model_args)}; correct {option} or the config's arguments"
            )
        given = {name: tree for name, tree in network.variables.items() if name != "passthrough"}
        shapes, expected = ({place: x.shape for place, x in flatten(tree).items()} for tree in (given, variables[role]))
        if shapes != expected:
            different = sorted(shapes.items() ^ expected.items())[0]
            raise UserError(f"{path}: the variables of {network_id} do not fit, first {different}; convert it again")
        started[role] = _copied(given)
    return started


def _copied(tree: Tree) -> Tree:
    return {
        name: _copied(value) if isinstance(value, dict) else jnp.array(np.asarray(value, np.float32))
        for name, value in tree.items()
    }
