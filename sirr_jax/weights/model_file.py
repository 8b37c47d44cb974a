"""One network in one `.safetensors` file, with a card that says how to rebuild it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

import sirr_jax
from sirr_jax.errors import UserError

_REQUIRED = ("recipe", "network", "hyper", "version", "licence", "origin")


def save_model(
    path: str | Path,
    params: dict[str, Any],
    *,
    recipe: str,
    network: str,
    hyper: dict[str, Any],
    licence: str,
    origin: str,
    overwrite: bool = False,
) -> None:
    """Write a network's parameters.

    Args:
        path: the file, `.safetensors`.
        params: nested dict of arrays.
        recipe: which recipe knows how to use it.
        network: network id, see `sirr_jax.list_networks`.
        hyper: hyper-parameters to build it with.
        licence: of the weights.
        origin: where they come from, in a sentence.
        overwrite: replace an existing file.

    Raises:
        UserError: if the file exists and `overwrite` is False.
    """
    path = Path(path)
    if path.exists() and not overwrite:
        raise UserError(f"{path} exists; choose another name or ask to overwrite it")
    card = {
        "recipe": recipe,
        "network": network,
        "hyper": hyper,
        "version": sirr_jax.__version__,
        "licence": licence,
        "origin": origin,
    }
    data = save(_flatten(params), metadata={"card": json.dumps(card)})
    partial = path.with_name(path.name + ".partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    partial.write_bytes(data)
    partial.replace(path)


def load_model(path: str | Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read what `save_model` wrote.

    Returns:
        The card (recipe, network, hyper, version, licence, origin) and the parameters as NumPy arrays.

    Raises:
        UserError: if the file is missing, damaged or without a card.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"no model file at {path}; give a .safetensors file that a training run exported")
    try:
        with safe_open(path, framework="numpy") as file:
            card = json.loads((file.metadata() or {}).get("card", "null"))
            ours = isinstance(card, dict) and all(name in card for name in _REQUIRED)
            # Foreign files may hold types that NumPy lacks.
            arrays = {name: file.get_tensor(name) for name in file.keys()} if ours else {}  # noqa: SIM118 - not a dict
    except (SafetensorError, OSError, ValueError, AttributeError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{path} cannot be read as safetensors ({reason}); export the model again") from error
    if not ours:
        raise UserError(
            f"{path} has no sirr_jax card in its metadata; only models that sirr_jax exported can be loaded"
        )
    return card, _unflatten(arrays)


def _flatten(tree: dict[str, Any], prefix: str = "") -> dict[str, np.ndarray]:
    flat: dict[str, np.ndarray] = {}
    for name, value in tree.items():
        if isinstance(value, dict):
            flat |= _flatten(value, f"{prefix}{name}/")
        else:
            flat[prefix + name] = np.asarray(value, order="C")
    return flat


def _unflatten(flat: dict[str, np.ndarray]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for path, value in flat.items():
        *parents, name = path.split("/")
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {})
        node[name] = value
    return tree
