"""One key map per published family: which array of its state dict is which variable."""

from __future__ import annotations

import importlib

from sirr_jax.errors import UserError
from sirr_jax.models import list_networks
from sirr_jax.weights.key_maps.base import KeyMap

# Network ids whose map is not `sirr_jax.weights.key_maps.<family>:<NETWORK>`.
_HOMES = {
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
    """The key map of a network.

    Raises:
        UserError: if the id is unknown.
    """
    if network_id not in list_networks():
        raise UserError(f"no network is called {network_id!r}; `sirr models` lists the ids")
    home = _HOMES.get(network_id)
    if home is None:
        family, network = network_id.split("/")
        home = f"{family}:{network.upper()}"
    module, name = home.split(":")
    return getattr(importlib.import_module(f"sirr_jax.weights.key_maps.{module}"), name)
