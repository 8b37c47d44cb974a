"""The networks of one system in one `.safetensors` file, with a card that says how to rebuild them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from safetensors.numpy import save

import sirr_jax
from sirr_jax.errors import UserError
from sirr_jax.weights.readers.file_type import sniff
from sirr_jax.weights.readers.safetensors_file import read_safetensors
from sirr_jax.weights.variables import flatten


class Network(NamedTuple):
    """One network of a model.

    Attributes:
        id: network id, see `sirr_jax.list_networks`.
        hyper: hyper-parameters to build it with.
        variables: `{"params": ..., "batch_stats": ..., ...}`, nested dicts of arrays.
    """

    id: str
    hyper: dict[str, Any]
    variables: dict[str, Any]


class Model(NamedTuple):
    """What a model file holds.

    Attributes:
        recipe: which recipe knows how to use the networks.
        networks: by the role that the recipe gives them ("student", "generator", ...).
        licence: of the weights.
        origin: where they come from, in a sentence.
        version: of sirr_jax that wrote the file.
        max_side: the longer side, in pixels, that it works best at: larger photographs are to be restored by way of a
            copy of this size. None if nothing is known.
        self_ensemble: over how many symmetries of a photograph its answers are to be averaged: 1, 2, 4 or 8.
    """

    recipe: str
    networks: dict[str, Network]
    licence: str
    origin: str
    version: str = sirr_jax.__version__
    max_side: int | None = None
    self_ensemble: int = 1


def save_model(path: str | Path, model: Model, *, overwrite: bool = False) -> None:
    """Write a model file. The same model gives the same bytes.

    Args:
        path: the file, `.safetensors`.
        model: its content.
        overwrite: replace an existing file.

    Raises:
        UserError: if the file exists and `overwrite` is False.
    """
    path = Path(path)
    if path.exists() and not overwrite:
        raise UserError(f"{path} exists; choose another name or ask to overwrite it")
    card = {
        "recipe": model.recipe,
        "networks": {role: {"id": network.id, "hyper": network.hyper} for role, network in model.networks.items()},
        "version": model.version,
        "licence": model.licence,
        "origin": model.origin,
    }
    if model.max_side is not None:
        card["max_side"] = model.max_side
    if model.self_ensemble != 1:
        card["self_ensemble"] = model.self_ensemble
    tree = {role: network.variables for role, network in model.networks.items()}
    arrays = {"/".join(names): np.asarray(value, order="C") for names, value in flatten(tree).items()}
    partial = path.with_name(path.name + ".partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        # Not safetensors' own writing: its files are readable by their owner alone, whatever the umask.
        partial.write_bytes(save(arrays, metadata={"card": json.dumps(card)}))
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def load_model(path: str | Path) -> Model:
    """Read what `save_model` wrote; arrays come as NumPy's.

    Raises:
        UserError: if the file is missing, damaged or without a card.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"no model file at {path}; give a .safetensors file that a training run or a conversion wrote")
    hint = f"for published weights: sirr convert {path} model.safetensors"
    if (kind := sniff(path)) != "safetensors":
        raise UserError(f"{path} is of kind {kind}, not a model, which is a .safetensors file; {hint}")
    arrays, metadata = read_safetensors(path)
    card = read_card(metadata)
    if card is None:
        raise UserError(
            f"{path} has no sirr_jax card in its metadata; only models that sirr_jax wrote can be loaded; {hint}"
        )
    return model_of(card, arrays, path)


def model_of(card: Mapping[str, Any], arrays: dict[str, np.ndarray], path: Path) -> Model:
    """The model that a card and the arrays beside it make up; `path` for messages.

    Raises:
        UserError: if the names of the arrays contradict one another.
    """
    tree = _unflatten(arrays, path)
    networks = {role: Network(said["id"], said["hyper"], tree.get(role, {})) for role, said in card["networks"].items()}
    said = {name: card[name] for name in ("max_side", "self_ensemble") if name in card}
    return Model(card["recipe"], networks, card["licence"], card["origin"], card["version"], **said)


def read_card(metadata: Mapping[str, str]) -> dict[str, Any] | None:
    """The card in a safetensors file's metadata; None if there is none, or it is no card of ours."""
    try:
        card = json.loads(metadata.get("card", "null"))
    except ValueError:
        return None
    if not isinstance(card, dict) or not all(isinstance(card.get(name), str) for name in _STRINGS):
        return None
    if not isinstance(card.get("max_side"), int | None) or not isinstance(card.get("self_ensemble", 1), int):
        return None
    networks = card.get("networks")
    if not isinstance(networks, dict) or not networks:
        return None
    for said in networks.values():
        if not isinstance(said, dict) or not isinstance(said.get("id"), str) or not isinstance(said.get("hyper"), dict):
            return None
    return card


_STRINGS = ("recipe", "version", "licence", "origin")


def _unflatten(flat: dict[str, np.ndarray], file: Path) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for path, value in flat.items():
        *parents, name = path.split("/")
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {})
            if not isinstance(node, dict):
                raise UserError(f"{file} is damaged: {path} lies inside an array; export the model again")
        node[name] = value
    return tree
