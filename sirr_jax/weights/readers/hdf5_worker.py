"""Script that reads a Keras `.h5` file for the process that started it, `sirr_jax.weights.readers.hdf5_file`.

    python -P hdf5_worker.py FILE [LAYERS]

It writes one line of JSON to the standard output: `{"layers": [[name, [[array, shape, dtype, bytes that follow], ...]],
...]}` in the saved order, or `{"error": ...}`. Then follow the values (little-endian float32) of the floating-point
arrays in the layers whose names match the regular expression LAYERS. It imports nothing of this package, so that it
starts quickly.
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

# Far more than any supported network needs. A damaged header can claim any size.
_MAX_BYTES = 1 << 30
_MAX_ATTRIBUTE_BYTES = 1 << 24


def main(path: str, pattern: str | None) -> None:
    """Writes the weights of a Keras file to the standard output.

    Args:
        path: `.h5` file.
        pattern: regular expression for the layers whose values are written; None for no layer.
    """
    data: list[np.ndarray] = []
    try:
        with h5py.File(path, "r") as file:
            root = _get(file, "model_weights") if "model_weights" in file else file
            layers = [
                [name, list(_describe_arrays(_get(root, name), name, pattern, data))]
                for name in _strings(root, "layer_names")
            ]
        header: dict[str, Any] = {"layers": layers}
    except Exception as error:  # damaged files raise OSError, KeyError, RuntimeError, UnicodeDecodeError, ...
        header, data = {"error": " ".join(str(error).split())[:200] or type(error).__name__}, []
    sys.stdout.buffer.write(json.dumps(header).encode() + b"\n")
    for array in data:
        sys.stdout.buffer.write(array.data)


def _describe_arrays(group: Any, layer: str, pattern: str | None, data: list[np.ndarray]) -> Iterator[list[Any]]:
    """Yields name, shape, dtype and length in bytes of a layer's arrays; appends their values to `data`."""
    for name in _strings(group, "weight_names"):
        dataset = _get(group, name)
        if not isinstance(dataset, h5py.Dataset):
            raise ValueError(f"{dataset.name} is not an array")
        if dataset.external or dataset.is_virtual:
            raise ValueError(f"{dataset.name} refers to another file")
        byte_count = 0
        if pattern is not None and re.fullmatch(pattern, layer) and dataset.dtype.kind == "f":
            if dataset.size * dataset.dtype.itemsize + sum(array.nbytes for array in data) > _MAX_BYTES:
                raise ValueError(f"{dataset.name} has the shape {dataset.shape}, too large for weights")
            array = np.asarray(dataset[()], "<f4", order="C")
            data.append(array)
            byte_count = array.nbytes
        yield [name, list(dataset.shape), str(dataset.dtype), byte_count]


def _get(node: Any, path: str) -> Any:
    """Returns the group or dataset at `path` under `node`; rejects links, which may lead to other files."""
    for part in path.strip("/").split("/"):
        if not isinstance(node, h5py.Group):
            raise ValueError(f"{node.name} is not a group")
        if not isinstance(node.get(part, getlink=True), h5py.HardLink):
            raise ValueError(f"{part} in {node.name} is missing or a link")
        node = node[part]
    return node


def _strings(node: Any, attribute: str) -> list[str]:
    """Reads a list of names. Keras splits lists beyond 64 kB into `attribute0`, `attribute1`, ..."""
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
        if math.prod(stored.shape) * stored.dtype.itemsize > _MAX_ATTRIBUTE_BYTES:
            raise ValueError(f"the attribute {part} is too large")
        names += [name.decode() if isinstance(name, bytes) else str(name) for name in np.ravel(node.attrs[part])]
    return names


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None)
