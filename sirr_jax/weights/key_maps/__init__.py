"""Key maps, one per published family: how the keys of its state dict correspond to the Flax variables."""

from __future__ import annotations

import importlib

from sirr_jax.errors import UserError
from sirr_jax.models import list_networks
from sirr_jax.weights.key_maps.base import KeyMap

# Network ids whose map is not `sirr_jax.weights.key_maps.<family>:<NETWORK>`.
_LOCATIONS = {
    "ade20k_ppm": "ade20k_ppm:PARSER",
    "bisenet": "bisenet:BISENET",
    "deeplabv2": "deeplabv2:DEEPLAB",
    "espnetv2": "espnetv2:ESPNET",
    "resnet50": "resnet:RESNET50",
    "resnet101": "resnet:RESNET101",
    "segmenter": "segmenter:SEGMENTER",
    "vgg16": "vgg:VGG16",
    "vgg19": "vgg:VGG19",
}


def key_map(network_id: str) -> KeyMap:
    """Returns the key map of a network.

    Args:
        network_id: network id, see `sirr_jax.list_networks`.

    Raises:
        UserError: The id is unknown.
    """
    if network_id not in list_networks():
        raise UserError(f"no network is called {network_id!r}; `sirr models` lists the ids")
    location = _LOCATIONS.get(network_id)
    if location is None:
        family, network = network_id.split("/")
        location = f"{family}:{network.upper()}"
    module, name = location.split(":")
    return getattr(importlib.import_module(f"sirr_jax.weights.key_maps.{module}"), name)
