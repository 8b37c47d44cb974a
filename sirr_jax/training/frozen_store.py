"""Parts of the state that a stage does not change: each is written once and referenced by its hash."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

_FIELDS = ("params", "ema", "opt_state")


class FrozenStore:
    """A folder of files, each named after the SHA-256 of its content: the bytes of the leaves of a tree, in order."""

    def __init__(self, folder: Path) -> None:
        """Opens a folder; it is made when something is written.

        Args:
            folder: folder of the store.
        """
        self._folder = folder
        self._present: set[str] = set()  # hashes of files that this process has read or written

    def put(self, tree: Any) -> str:
        """Writes a tree, unless the store has it.

        Args:
            tree: tree of NumPy arrays.

        Returns:
            Hash of the tree.
        """
        content = b"".join(np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(tree))
        name = hashlib.sha256(content).hexdigest()
        path = self._folder / name
        if name in self._present:
            return name
        if not (path.exists() and hashlib.sha256(path.read_bytes()).hexdigest() == name):
            self._folder.mkdir(exist_ok=True)
            partial = path.with_suffix(".partial")
            with partial.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        self._present.add(name)
        return name

    def get(self, name: str, like: Any) -> Any:
        """Reads a tree.

        Args:
            name: hash of the tree.
            like: tree with its structure, shapes and dtypes.

        Returns:
            Tree of NumPy arrays.

        Raises:
            ValueError: The file is damaged.
            OSError: The file is missing or cannot be read.
        """
        content = (self._folder / name).read_bytes()
        if hashlib.sha256(content).hexdigest() != name:
            raise ValueError(f"{self._folder.name}/{name} is damaged")
        leaves, structure = jax.tree.flatten(like)
        values, start = [], 0
        for leaf in leaves:
            count = int(np.prod(leaf.shape, dtype=np.int64))
            value = np.frombuffer(content, leaf.dtype, count=count, offset=start) if count else np.zeros(0, leaf.dtype)
            values.append(value.reshape(leaf.shape).copy())
            start += value.nbytes
        return jax.tree.unflatten(structure, values)


def take_out(state: Any, networks: Collection[str]) -> tuple[Any, dict[str, Any]]:
    """Removes networks from a state.

    Args:
        state: training state.
        networks: names of the networks.

    Returns:
        The state without them, and "field/network" -> tree.
    """
    taken: dict[str, Any] = {}
    remaining: dict[str, Any] = {}
    for field in _FIELDS if networks else ():
        trees = getattr(state, field)
        remaining[field] = {name: tree for name, tree in trees.items() if name not in networks}
        taken |= {f"{field}/{name}": tree for name, tree in trees.items() if name in networks}
    return (state.replace(**remaining) if taken else state), taken


def put_back(state: Any, taken: Mapping[str, Any]) -> Any:
    """Inverts `take_out`.

    Args:
        state: state without the networks.
        taken: "field/network" -> tree.
    """
    for place, tree in taken.items():
        field, _, name = place.partition("/")
        trees = {**getattr(state, field), name: tree}
        state = state.replace(**{field: dict(sorted(trees.items()))})  # sorted, as JAX's own functions leave it
    return state
