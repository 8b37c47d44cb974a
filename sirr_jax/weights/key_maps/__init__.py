"""Key maps, one file per published family: how the keys of its state dict correspond to the Flax variables.

The map of the network `FAMILY/NAME` is `NAME` in capitals in the file of the family, that of a network without a
family its id in capitals, in the file that is named as the network's own.
"""

from __future__ import annotations

import importlib

from sirr_jax.errors import UserError
from sirr_jax.models.registry import NETWORKS
from sirr_jax.registry import find_module
from sirr_jax.weights.key_maps.base import KeyMap

_ROOM = "weights.key_maps"


def key_map(network_id: str) -> KeyMap:
    """Returns the key map of a network.

    Args:
        network_id: network id, see `sirr_jax.list_networks`.

    Raises:
        UserError: The id is unknown, or the network has no key map.
    """
    network = NETWORKS.find(network_id).network
    family, name = network_id.split("/")[0], network_id.split("/")[-1]
    file = network.__module__.partition(".models.")[2].split(".")[0]
    module = find_module(_ROOM, family) or find_module(_ROOM, file)
    if module is None:
        raise UserError(f"{network_id} has no key map; write weights/key_maps/{family}.py to convert its weights")
    return getattr(importlib.import_module(module), name.upper())
