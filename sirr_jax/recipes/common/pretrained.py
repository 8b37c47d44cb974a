"""Initial weights from a file, for any of a system's networks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from sirr_jax.errors import UserError
from sirr_jax.models import build
from sirr_jax.recipes.base import Ancestry, Tree
from sirr_jax.weights.load_weights import load_weights
from sirr_jax.weights.model_file import Model, Parent, StoredNetwork
from sirr_jax.weights.sha256 import sha256
from sirr_jax.weights.variables import flatten


def load_initial(
    path: str,
    networks: Mapping[str, tuple[str, Mapping[str, Any]]],
    variables: Tree,
    *,
    option: str = "config.init_from",
    ancestries: dict[str, Ancestry] | None = None,
) -> Tree:
    """Replaces freshly drawn variables by those of a file, for the networks that it contains.

    A generator alone is enough: the discriminator then keeps its own draw.

    Args:
        path: model file of a training run or of `sirr convert`, or any file that `sirr convert` reads.
        networks: role -> network id and arguments that the recipe trains.
        variables: role -> freshly drawn variables, `{"params": ..., "batch_stats": ...}`; their shapes are enough for
            a single role.
        option: name of the option that selects the file, for error messages.
        ancestries: dict that receives the ancestry of each network that was replaced, by role.

    Returns:
        `variables` with float32 copies of the file's.

    Raises:
        UserError: The file contains none of the networks, or one with other arguments or shapes, or one that was
            never trained.
    """
    model = load_file(path, option)
    stored = {role: network for role, network in model.networks.items() if role in networks}
    if not stored:
        raise UserError(
            f"{path} contains {', '.join(network.id for network in model.networks.values())}; expected one or more of "
            f"{', '.join(network_id for network_id, _ in networks.values())}: choose another {option}"
        )
    result = dict(variables)
    for role, network in stored.items():
        network_id, model_args = networks[role]
        if network.id != network_id or build(network.id, **network.model_args) != build(network_id, **model_args):
            raise UserError(
                f"{path} contains {network.id} {network.model_args}, and the config trains another: expected "
                f"{network_id} {dict(model_args)}; correct {option} or the config's arguments"
            )
        if network.steps == 0:
            raise UserError(f"{path} contains {network.id} that was never trained (0 steps); choose another {option}")
        used = {name: tree for name, tree in network.variables.items() if name != "passthrough"}
        shapes, expected = ({place: x.shape for place, x in flatten(tree).items()} for tree in (used, variables[role]))
        if shapes != expected:
            different = sorted(shapes.items() ^ expected.items())[0]
            raise UserError(f"{path}: the variables of {network_id} do not fit, first {different}; convert it again")
        result[role] = _float32_copies(used)
        if ancestries is not None:
            ancestries[role] = ancestry_of(model, network, path)
    return result


def load_file(path: str | Path, option: str) -> Model:
    """Reads the file of an option: a model file, or any file that `sirr convert` reads.

    Args:
        path: file.
        option: name of the option that selects it, for the error message.

    Raises:
        UserError: The file is missing, or cannot be read.
    """
    if not Path(path).is_file():
        raise UserError(f"no model file at {path}; correct {option}, or leave it empty")
    return load_weights([path])


def ancestry_of(model: Model, network: StoredNetwork, path: str) -> Ancestry:
    """Describes weights of a file as the ancestry of a network that consists of them.

    Args:
        model: contents of the file.
        network: network of `model`.
        path: the file.
    """
    parent = Parent(model.title or network.id, network.license or model.license, sha256(path))
    return Ancestry((*network.parents, parent), network.steps, complete=True)


def with_parents(ancestries: dict[str, Ancestry], role: str, parents: Iterable[Parent]) -> None:
    """Adds parents to the ancestry of a network.

    Args:
        ancestries: ancestries by role, which are changed.
        role: role of the network.
        parents: weights that become a part of the network, or that it learns from.
    """
    ancestry = ancestries.get(role, Ancestry())
    ancestries[role] = ancestry._replace(parents=tuple(dict.fromkeys((*ancestry.parents, *parents))))


def _float32_copies(tree: Tree) -> Tree:
    return {
        name: _float32_copies(value) if isinstance(value, dict) else jnp.array(np.asarray(value, np.float32))
        for name, value in tree.items()
    }
