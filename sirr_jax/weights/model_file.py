"""Model files: the networks of one system in one `.safetensors` file, with the metadata to rebuild them."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import sirr_jax
from sirr_jax.errors import UserError
from sirr_jax.temporary_paths import new_file
from sirr_jax.weights.metadata import read_metadata, write_metadata
from sirr_jax.weights.readers.file_type import detect_file_type
from sirr_jax.weights.readers.safetensors_file import read_safetensors
from sirr_jax.weights.variables import flatten

# NumPy's and safetensors' names of dtypes, in the order in which safetensors sorts them.
_SAFETENSORS_NAMES = {
    "bool": "BOOL",
    "uint8": "U8",
    "int8": "I8",
    "int16": "I16",
    "uint16": "U16",
    "float16": "F16",
    "bfloat16": "BF16",
    "int32": "I32",
    "uint32": "U32",
    "float32": "F32",
    "float64": "F64",
    "int64": "I64",
    "uint64": "U64",
}
_DTYPES = tuple(_SAFETENSORS_NAMES)

# Name of the collection "passthrough" in the first edition.
_FIRST_EDITION_PASSTHROUGH = "carried"


class Parent(NamedTuple):
    """Weights from which a network's training began, from which it was distilled, or that are a part of it.

    Attributes:
        name: title of their file, or id of their network.
        license: license of these weights.
        sha256: SHA-256 of their file, in hexadecimal.
    """

    name: str
    license: str
    sha256: str


class StoredNetwork(NamedTuple):
    """One network of a model.

    Attributes:
        id: network id, see `sirr_jax.list_networks`.
        model_args: arguments for `sirr_jax.build`.
        variables: `{"params": ..., "batch_stats": ..., ...}`, nested dicts of arrays.
        license: license of the network's weights; empty if it is that of the model.
        parents: weights that it comes from, and their parents; empty if there are none, or if they are unknown.
        steps: training steps; None if unknown, as for published weights.
        convention: normalization of the images that a VGG expects, "torchvision" or "caffe" (see
            `sirr_jax.models.vgg.normalize`); empty for other networks.
    """

    id: str
    model_args: dict[str, Any]
    variables: dict[str, Any]
    license: str = ""
    parents: tuple[Parent, ...] = ()
    steps: int | None = None
    convention: str = ""


class Model(NamedTuple):
    """Contents of a model file.

    Attributes:
        recipe: name of the recipe or system that runs the networks.
        networks: networks by their role in the recipe ("student", "generator", ...).
        license: license of the weights.
        description: provenance of the weights, one sentence.
        author: author of the weights; may be empty.
        title: title for people; may be empty.
        date: date of the weights, YYYY-MM-DD; may be empty.
        version: version of sirr_jax that wrote the file.
        max_side: recommended longer side in pixels: larger photographs are processed at this size. None if unknown.
        self_ensemble: recommended number of flips and rotations to average over: 1, 2, 4 or 8.
    """

    recipe: str
    networks: dict[str, StoredNetwork]
    license: str
    description: str
    author: str = ""
    title: str = ""
    date: str = ""
    version: str = sirr_jax.__version__
    max_side: int | None = None
    self_ensemble: int = 1


def save_model(path: str | Path, model: Model, *, overwrite: bool = False) -> None:
    """Writes a model file. The same model gives the same bytes.

    Args:
        path: file to write, `.safetensors`.
        model: contents.
        overwrite: whether to replace an existing file.

    Raises:
        UserError: The file exists and `overwrite` is False.
    """
    path = Path(path)
    if path.exists() and not overwrite:
        raise UserError(f"{path} exists; choose another name or ask to overwrite it")
    rebuild: dict[str, Any] = {
        "recipe": model.recipe,
        "networks": {role: _settings(network) for role, network in model.networks.items()},
        "version": model.version,
    }
    if model.max_side is not None:
        rebuild["max_side"] = model.max_side
    if model.self_ensemble != 1:
        rebuild["self_ensemble"] = model.self_ensemble
    tree = {role: network.variables for role, network in model.networks.items()}
    arrays = {"/".join(names): np.asarray(value) for names, value in flatten(tree).items()}
    spec = {
        "architecture": "+".join(dict.fromkeys(network.id for network in model.networks.values())),
        "title": model.title,
        "author": model.author,
        "date": model.date,
        "license": model.license,
        "description": model.description,
    }
    content = _to_bytes(arrays, rebuild, spec)
    with new_file(path, overwrite=overwrite) as partial:
        # Not safetensors' `save_file`, which makes files that only their owner can read, whatever the umask.
        partial.write_bytes(content)


def load_model(path: str | Path) -> Model:
    """Reads a model file of `save_model`, or of the first edition.

    Args:
        path: `.safetensors` file.

    Returns:
        The model; its variables are NumPy arrays.

    Raises:
        UserError: The file is missing, damaged or has no metadata of sirr_jax.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"no model file at {path}; give a .safetensors file that a training run or a conversion wrote")
    hint = f"for published weights: sirr convert {path} model.safetensors"
    if (file_type := detect_file_type(path)) != "safetensors":
        raise UserError(f"{path} is of type {file_type}; a model is a .safetensors file; {hint}")
    arrays, metadata = read_safetensors(path)
    rebuild = read_metadata(metadata)
    if rebuild is None:
        raise UserError(f"{path} has no sirr_jax metadata; only models that sirr_jax wrote can be loaded; {hint}")
    return build_model(rebuild, arrays, path)


def build_model(rebuild: Mapping[str, Any], arrays: dict[str, np.ndarray], path: Path) -> Model:
    """Makes a model from the metadata and arrays of a file.

    Args:
        rebuild: metadata from `read_metadata`.
        arrays: `{"role/collection/.../name": array}`.
        path: file, for error messages.

    Raises:
        UserError: The name of an array is the parent of another.
    """
    tree = _unflatten(arrays, path)
    networks = {}
    for role, network in rebuild["networks"].items():
        variables = tree.get(role, {})
        if _FIRST_EDITION_PASSTHROUGH in variables:
            variables["passthrough"] = variables.pop(_FIRST_EDITION_PASSTHROUGH)
        settings = {name: value for name, value in network.items() if name in StoredNetwork._fields}
        settings["parents"] = tuple(Parent(**parent) for parent in network.get("parents", ()))
        networks[role] = StoredNetwork(**settings | {"variables": variables})
    fields = {name: rebuild[name] for name in Model._fields if name in rebuild and name != "networks"}
    return Model(networks=networks, **fields)


def _settings(network: StoredNetwork) -> dict[str, Any]:
    """Returns what the metadata contain of a network; fields with their default values are left out."""
    settings = {name: value for name, value in network._asdict().items() if name != "variables"}
    settings["parents"] = [parent._asdict() for parent in network.parents]
    optional = {name for name, default in StoredNetwork._field_defaults.items() if getattr(network, name) == default}
    return {name: value for name, value in settings.items() if name not in optional}


def _to_bytes(arrays: Mapping[str, np.ndarray], rebuild: Mapping[str, Any], spec: Mapping[str, str]) -> bytearray:
    """Makes a safetensors file, in memory of its own size.

    Its header is written here, because safetensors writes metadata in random order and copies the tensors twice.
    """
    # As safetensors orders tensors: the widest types first, so that all are aligned.
    order = sorted(arrays, key=lambda name: (-_DTYPES.index(arrays[name].dtype.name), name))
    entries: dict[str, Any] = {}
    end = 0
    for name in order:
        array, start, end = arrays[name], end, end + arrays[name].nbytes
        dtype = _SAFETENSORS_NAMES[array.dtype.name]
        entries[name] = {"dtype": dtype, "shape": list(array.shape), "data_offsets": [start, end]}

    def make_header(digest: str) -> bytes:
        # ModelSpec hashes the tensors alone.
        metadata = write_metadata(rebuild, {**spec, "hash_sha256": f"0x{digest}"})
        header = json.dumps({"__metadata__": metadata, **entries}, separators=(",", ":")).encode()
        return header + b" " * (-len(header) % 8)  # tensors are aligned

    first = 8 + len(make_header("0" * 64))
    content = bytearray(first + end)
    for name in order:
        array, start = arrays[name], first + entries[name]["data_offsets"][0]
        np.ndarray(array.shape, array.dtype, content, start)[...] = array
    header = make_header(hashlib.sha256(memoryview(content)[first:]).hexdigest())
    content[:first] = struct.pack("<Q", len(header)) + header
    return content


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
