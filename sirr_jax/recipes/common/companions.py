"""Frozen networks of a system that work beside the one that is trained, from weight files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import jax
import numpy as np

from sirr_jax.errors import UserError
from sirr_jax.recipes.base import Ancestry
from sirr_jax.recipes.common.pretrained import ancestry_of
from sirr_jax.weights.load_weights import load_weights
from sirr_jax.weights.model_file import StoredNetwork


def read_companions(
    files: Mapping[str, str], roles: Sequence[str]
) -> tuple[dict[str, StoredNetwork], dict[str, Ancestry]]:
    """Reads the frozen networks that a system needs.

    Args:
        files: role -> weight file, as `config.companions` gives it.
        roles: roles that the system needs.

    Returns:
        The networks by role, with float32 variables, and their ancestries by role.

    Raises:
        UserError: A file is missing, unreadable or contains another network, or is given for a role that is not needed.
    """
    for role in files:
        if role not in roles:
            needed = f"it needs {', '.join(roles)}" if roles else "it needs no other network"
            raise UserError(f"config.companions.{role} is given, and the system has no such role; {needed}")
    networks, ancestries = {}, {}
    for role in roles:
        if not files.get(role):
            raise UserError(f"config.companions.{role} is missing; give the weight file of {role}")
        model = load_weights([files[role]])
        if role not in model.networks:
            contents = ", ".join(network.id for network in model.networks.values())
            raise UserError(f"config.companions.{role}={files[role]} contains {contents}; expected {role}")
        network = model.networks[role]
        ancestries[role] = ancestry_of(model, network, files[role])
        used = {name: tree for name, tree in network.variables.items() if name != "passthrough"}
        networks[role] = network._replace(variables=jax.tree.map(lambda x: np.asarray(x, np.float32), used))
    return networks, ancestries
