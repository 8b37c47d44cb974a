"""Reads the weights of PyTorch and safetensors files: chooses them, then reads their arrays."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sirr_jax.weights.errors import ConversionError
from sirr_jax.weights.find_networks import choose_networks
from sirr_jax.weights.readers.checkpoint_unwrap import checked_contents
from sirr_jax.weights.readers.torch_file import open_torch


class StateDicts(NamedTuple):
    """Weights of a file.

    Attributes:
        arrays: name in the file -> array by key.
        facts: sentences for the description: the weights that were taken, where there is a choice.
        remarks: sentences for the user: other contents of the file.
    """

    arrays: dict[str, dict[str, np.ndarray]]
    facts: tuple[str, ...]
    remarks: tuple[str, ...]


def read_state_dicts(
    path: Path,
    *,
    network_id: str | None = None,
    part: str | None = None,
    arrays: Mapping[str, np.ndarray] | None = None,
) -> StateDicts:
    """Reads the weights of the known networks in a file.

    Args:
        path: PyTorch file; for other formats the name in messages.
        network_id: network id of the weights; None for any.
        part: name of the part to read.
        arrays: contents of a file that is no PyTorch file, by key.

    Raises:
        ConversionError: The file is unreadable, has no weights or no such part, or several networks of equal rank.
    """
    tree: Any = arrays
    read: Any = np.asarray
    if arrays is None:
        tree, read = open_torch(path)
    try:
        selection = choose_networks(checked_contents(tree), network_id=network_id, part=part)
        state_dicts = {
            name: {key: read(tensor) for key, tensor in tensors.items()}
            for name, tensors in selection.state_dicts.items()
        }
    except ConversionError as error:
        raise error.about(path) from error
    return StateDicts(state_dicts, selection.facts, selection.remarks)
