"""Initial weights from a model file, for any of a system's networks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from sirr_jax.errors import UserError
from sirr_jax.recipes.base import Tree
from sirr_jax.weights.model_file import load_model
from sirr_jax.weights.variables import flatten


def load_initial(
    path: str,
    networks: Mapping[str, tuple[str, Mapping[str, Any]]],
    variables: Tree,
    *,
    option: str = "config.init_from",
) -> Tree:
    """Replaces freshly drawn variables by those of a model file, for the networks that it contains.

    A converted generator alone is enough: the discriminator then keeps its own draw.

    Args:
        path: `.safetensors` model that a training run or `sirr convert` wrote.
        networks: role -> network id and arguments that the recipe trains.
        variables: role -> freshly drawn variables, `{"params": ..., "batch_stats": ...}`; their shapes are enough for
            a single role.
        option: name of the option that selects the file, for error messages.

    Returns:
        `variables` with float32 copies of the file's.

    Raises:
        UserError: The file contains none of the networks, or one with other arguments or shapes.
    """
    model = load_model(path)
    stored = {role: network for role, network in model.networks.items() if role in networks}
    if not stored:
        raise UserError(
            f"{path} contains {', '.join(network.id for network in model.networks.values())}; expected one or more of "
            f"{', '.join(network_id for network_id, _ in networks.values())}: choose another {option}"
        )
    result = dict(variables)
    for role, network in stored.items():
        network_id, model_args = networks[role]
        if (network.id, dict(network.model_args)) != (network_id, dict(model_args)):
            raise UserError(
                f"{path} contains {network.id} {network.model_args}, and the config trains another: expected "
                f"{network_id} {dict(model_args)}; correct {option} or the config's arguments"
            )
        used = {name: tree for name, tree in network.variables.items() if name != "passthrough"}
        shapes, expected = ({place: x.shape for place, x in flatten(tree).items()} for tree in (used, variables[role]))
        if shapes != expected:
            different = sorted(shapes.items() ^ expected.items())[0]
            raise UserError(f"{path}: the variables of {network_id} do not fit, first {different}; convert it again")
        result[role] = _float32_copies(used)
    return result


def _float32_copies(tree: Tree) -> Tree:
    return {
        name: _float32_copies(value) if isinstance(value, dict) else jnp.array(np.asarray(value, np.float32))
        for name, value in tree.items()
    }
