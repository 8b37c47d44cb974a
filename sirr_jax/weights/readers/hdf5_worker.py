"""A Keras `.h5` file's weights, told to the process that started this script: see `sirr_jax.weights.readers.hdf5_file`.

    python -P hdf5_worker.py FILE [LAYERS]

writes one line of JSON to the standard output: `{"layers": [[name, [[array, shape, type, bytes that follow], ...]],
...]}` in the saved order, or `{"error": ...}`; then the numbers (little-endian float32) of the floating-point arrays
of the layers whose names match the regular expression LAYERS. It imports nothing of this package, so that it starts
quickly.
"""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Iterator
from typing import Any

import h5py
import numpy as np

# Far beyond any weights of ours; a damaged header can claim anything.
_MOST_BYTES = 1 << 30
_MOST_ATTRIBUTE_BYTES = 1 << 24


def main(path: str, wanted: str | None) -> None:
    """Write what `path` holds to the standard output."""
    data: list[np.ndarray] = []
    try:
        with h5py.File(path, "r") as file:
            root = _child(file, "model_weights") if "model_weights" in file else file
            layers = [
                [name, list(_arrays(_child(root, name), name, wanted, data))] for name in _strings(root, "layer_names")
            ]
        answer: dict[str, Any] = {"layers": layers}
    except Exception as error:  # damage shows anywhere: OSError, KeyError, RuntimeError, UnicodeDecodeError ...
        answer, data = {"error": " ".join(str(error).split())[:200] or type(error).__name__}, []
    sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n")
    for array in data:
        sys.stdout.buffer.write(array.data)


def _arrays(group: Any, layer: str, wanted: str | None, data: list[np.ndarray]) -> Iterator[list[Any]]:
    """Name, shape, type and length of a layer's arrays; their numbers go to `data`."""
    for name in _strings(group, "weight_names"):
        dataset = _child(group, name)
        if not isinstance(dataset, h5py.Dataset):
            raise ValueError(f"{dataset.name} is no array")
        if dataset.external or dataset.is_virtual:
            raise ValueError(f"{dataset.name} refers to another file")
        following = 0
        if wanted is not None and re.fullmatch(wanted, layer) and dataset.dtype.kind == "f":
            if dataset.size * dataset.dtype.itemsize + sum(array.nbytes for array in data) > _MOST_BYTES:
                raise ValueError(f"{dataset.name} claims {dataset.shape} numbers, too many for weights")
            array = np.asarray(dataset[()], "<f4", order="C")
            data.append(array)
            following = array.nbytes
        yield [name, list(dataset.shape), str(dataset.dtype), following]


def _child(node: Any, path: str) -> Any:
    """What lies at `path` under `node`, in this very file."""
    for part in path.strip("/").split("/"):
        if not isinstance(node, h5py.Group):
            raise ValueError(f"{node.name} is no group")
        if not isinstance(node.get(part, getlink=True), h5py.HardLink):
            raise ValueError(f"{part} in {node.name} is missing or a link")
        node = node[part]
    return node


def _strings(node: Any, attribute: str) -> list[str]:
    """A list of names; Keras splits those beyond 64 kB into `attribute0`, `attribute1`, ..."""
    if attribute in node.attrs:
        parts = [attribute]
    else:
        parts = []
        while f"{attribute}{len(parts)}" in node.attrs:
            parts.append(f"{attribute}{len(parts)}")
        if not parts:
            raise ValueError(f"{node.name} has no attribute {attribute}, which Keras 1 and 2 write")
    names = []
    for part in parts:
        stored = node.attrs.get_id(part)
        if math.prod(stored.shape) * stored.dtype.itemsize > _MOST_ATTRIBUTE_BYTES:
            raise ValueError(f"the attribute {part} is too large")
        names += [name.decode() if isinstance(name, bytes) else str(name) for name in np.ravel(node.attrs[part])]
    return names


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None)
