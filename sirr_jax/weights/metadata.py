"""The metadata of a model file: flat `modelspec.*` strings for other programs, one JSON value for this one.

`modelspec.*` follows ModelSpec 1.0.1, which model hubs and image programs read. `sirr_jax` contains what
`load_model` needs to rebuild the networks.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

_KEY = "sirr_jax"
_SPEC_VERSION = "1.0.1"
_IMPLEMENTATION = "sirr_jax (JAX, Flax Linen)"

_PARENT_FIELDS = {"name", "license", "sha256"}

# The key of the first edition's only metadata value.
_FIRST_EDITION = "card"


def write_metadata(rebuild: Mapping[str, Any], spec: Mapping[str, str]) -> dict[str, str]:
    """Makes the metadata of a model file.

    Args:
        rebuild: settings to rebuild the networks: `recipe`, `version`, `networks` (role ->
            `{"id": ..., "model_args": ...}`, optionally `license`, `parents`, `steps` and `convention`), optionally
            `max_side` and `self_ensemble`.
        spec: ModelSpec fields without their prefix; empty values are omitted.

    Returns:
        Flat strings, as safetensors requires.
    """
    fields = {"sai_model_spec": _SPEC_VERSION, "implementation": _IMPLEMENTATION, **spec}
    metadata = {f"modelspec.{name}": value for name, value in fields.items() if value}
    return metadata | {_KEY: json.dumps(rebuild)}


def read_metadata(metadata: Mapping[str, str]) -> dict[str, Any] | None:
    """Reads the metadata of a model file.

    Args:
        metadata: flat strings of a safetensors file.

    Returns:
        The settings to rebuild the networks, with `license`, `description`, and (except for files of the first
        edition) `author`, `title` and `date`. None for a file that sirr_jax did not write.
    """
    first_edition = _KEY not in metadata
    try:
        rebuild = json.loads(metadata.get(_KEY) or metadata.get(_FIRST_EDITION) or "null")
    except ValueError:
        return None
    if not isinstance(rebuild, dict):
        return None
    if first_edition:
        rebuild = _from_first_edition(rebuild)
    else:
        for field in ("license", "description", "author", "title", "date"):
            rebuild[field] = metadata.get(f"modelspec.{field}", "")
    return rebuild if _is_complete(rebuild) else None


def _is_complete(rebuild: Mapping[str, Any]) -> bool:
    if not all(isinstance(rebuild.get(name), str) for name in ("recipe", "version", "license", "description")):
        return False
    if not isinstance(rebuild.get("max_side"), int | None) or not isinstance(rebuild.get("self_ensemble", 1), int):
        return False
    networks = rebuild.get("networks")
    if not isinstance(networks, dict) or not networks:
        return False
    return all(isinstance(network, dict) and _is_network(network) for network in networks.values())


def _is_network(network: Mapping[str, Any]) -> bool:
    if not isinstance(network.get("id"), str) or not isinstance(network.get("model_args"), dict):
        return False
    steps, parents = network.get("steps"), network.get("parents", [])
    return (
        all(isinstance(network.get(name, ""), str) for name in ("license", "convention"))
        and (steps is None or (type(steps) is int and steps >= 0))
        and isinstance(parents, list)
        and all(
            isinstance(parent, dict)
            and parent.keys() == _PARENT_FIELDS
            and all(isinstance(value, str) for value in parent.values())
            for parent in parents
        )
    )


def _from_first_edition(card: Mapping[str, Any]) -> dict[str, Any]:
    """Translates the first edition's "card": its keys, the width "test", ERRNet's argument `hyper`."""
    networks = card.get("networks")
    renamed: dict[str, Any] = {}
    for role, network in networks.items() if isinstance(networks, dict) else ():
        if not isinstance(network, dict) or not isinstance(network.get("hyper"), dict):
            return {}
        model_args = dict(network["hyper"])
        if model_args.get("width") == "test":
            model_args["width"] = "tiny"
        if "hyper" in model_args:
            model_args["hypercolumn"] = model_args.pop("hyper")
        renamed[role] = {"id": network.get("id"), "model_args": model_args}
    settings = {name: card[name] for name in ("recipe", "version", "max_side", "self_ensemble") if name in card}
    return settings | {"networks": renamed, "license": card.get("licence"), "description": card.get("origin")}
