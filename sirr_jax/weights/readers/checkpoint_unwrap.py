"""Extracts state dicts from the checkpoints that training code saves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from sirr_jax.weights.errors import ConversionError
from sirr_jax.weights.readers.restricted_unpickler import TensorRef

# Keys under which repositories store the weights of the network, best first.
_WRAPPERS = (
    "params_ema",
    "state_dict",
    "model_state_dict",
    "model_state",
    "icnn",
    "generator",
    "gen",
    "netG",
    "net",
    "params",
    "model",
    "weights",
)
# Prefixes that wrappers of the module put before every key.
_PREFIXES = ("module.", "_orig_mod.", "netG.", "icnn.", "generator.", "vgg_pretrained_")
_MAX_DEPTH = 4


def select_state_dict(tree: Any, *, part: str | None, read: Callable[[TensorRef], np.ndarray]) -> dict[str, Any]:
    """Selects the state dict of a checkpoint and reads its tensors.

    Args:
        tree: contents of the file, with tensors as `TensorRef`.
        part: name of the state dict to select; None to select it by its usual names.
        read: function that reads the array of a `TensorRef`.

    Returns:
        `{key: array}`, or `{name: {key: array}}`; see `sirr_jax.weights.readers.torch_file.read_torch`.

    Raises:
        ConversionError: There is no state dict, or none of that name.
    """
    if isinstance(tree, TensorRef):
        raise ConversionError("the file contains a single tensor; expected a state dict, {name: tensor}")
    if not isinstance(tree, dict):
        raise ConversionError(f"the file contains a {type(tree).__name__}; expected a state dict, {{name: tensor}}")
    state_dicts = _find_state_dicts(tree, "", 0, set())
    if not state_dicts:
        if _is_optimizer(tree) or any(_is_optimizer(value) for value in tree.values()):
            raise ConversionError("the file contains the state of an optimizer; expected the weights of a network")
        raise ConversionError("the file contains no tensors; expected a state dict, {name: tensor}")
    if part is not None:
        matches = [name for name in state_dicts if name == part or name.split("/")[-1] == part]
        if len(matches) != 1:
            raise ConversionError(f"the file has no part {part!r}; it has {', '.join(state_dicts)}")
        return _read(state_dicts[matches[0]], read)
    while len(state_dicts) > 1:
        best = next((wrapper for wrapper in _WRAPPERS if any(wrapper in n.split("/") for n in state_dicts)), None)
        narrowed = {name: value for name, value in state_dicts.items() if best in name.split("/")}
        if len(narrowed) == len(state_dicts) or not narrowed:
            return {name: _read(value, read) for name, value in state_dicts.items()}
        state_dicts = narrowed
    return _read(next(iter(state_dicts.values())), read)


def strip_prefixes(state_dict: Mapping[str, Any]) -> dict[str, Any]:
    """Removes the prefixes that wrappers of a module put before all keys."""
    stripped = dict(state_dict)
    while prefix := next((p for p in _PREFIXES if stripped and all(key.startswith(p) for key in stripped)), None):
        stripped = {key.removeprefix(prefix): value for key, value in stripped.items()}
    return stripped


def _read(state_dict: Mapping[str, TensorRef], read: Callable[[TensorRef], np.ndarray]) -> dict[str, np.ndarray]:
    return strip_prefixes({key: read(tensor) for key, tensor in state_dict.items()})


def _find_state_dicts(
    node: dict[Any, Any], name: str, depth: int, visited: set[int]
) -> dict[str, dict[str, TensorRef]]:
    """Finds all dictionaries of tensors, by path."""
    tensors = {key: value for key, value in node.items() if isinstance(value, TensorRef) and isinstance(key, str)}
    if tensors:
        return {name: tensors}
    # A pickle can contain the same dictionary under thousands of names, on every level.
    if depth == _MAX_DEPTH or _is_optimizer(node) or id(node) in visited:
        return {}
    visited.add(id(node))
    state_dicts: dict[str, dict[str, TensorRef]] = {}
    for key, value in node.items():
        if isinstance(value, dict) and isinstance(key, str):
            state_dicts |= _find_state_dicts(value, f"{name}/{key}" if name else key, depth + 1, visited)
    return state_dicts


def _is_optimizer(node: Any) -> bool:
    return isinstance(node, dict) and "param_groups" in node and "state" in node
