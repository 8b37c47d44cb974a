"""State dicts found inside what training code saves around them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from sirr_jax.weights.errors import ConversionError
from sirr_jax.weights.readers.restricted_unpickler import TensorRef

# Names under which repositories keep the weights that one wants, best first.
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
# Put before every key by wrappers of the module.
_PREFIXES = ("module.", "_orig_mod.", "netG.", "icnn.", "generator.", "vgg_pretrained_")
_DEEPEST = 4


def select_state_dict(tree: Any, *, part: str | None, read: Callable[[TensorRef], np.ndarray]) -> dict[str, Any]:
    """Pick the state dict of a saved tree and read its tensors; see `sirr_jax.weights.readers.torch_file.read_torch`.

    Args:
        tree: what the file holds; tensors as `TensorRef`.
        part: the name of the state dict to take.
        read: turns a `TensorRef` into an array.

    Raises:
        ConversionError: if there is no state dict, or none of that name.
    """
    if isinstance(tree, TensorRef):
        raise ConversionError("the file holds a single tensor; expected a state dict, {name: tensor}")
    if not isinstance(tree, dict):
        raise ConversionError(f"the file holds a {type(tree).__name__}; expected a state dict, {{name: tensor}}")
    found = _state_dicts(tree, "", 0, set())
    if not found:
        if _is_optimizer(tree) or any(_is_optimizer(value) for value in tree.values()):
            raise ConversionError("this is an optimizer's state; expected the network's weights, saved beside it")
        raise ConversionError("the file holds no tensors; expected a state dict, {name: tensor}")
    if part is not None:
        match = [name for name in found if name == part or name.split("/")[-1] == part]
        if len(match) != 1:
            raise ConversionError(f"the file has no part {part!r}; it has {', '.join(found)}")
        return _read(found[match[0]], read)
    while len(found) > 1:
        best = next((wrapper for wrapper in _WRAPPERS if any(wrapper in n.split("/") for n in found)), None)
        narrowed = {name: value for name, value in found.items() if best in name.split("/")}
        if len(narrowed) == len(found) or not narrowed:
            return {name: _read(value, read) for name, value in found.items()}
        found = narrowed
    return _read(next(iter(found.values())), read)


def strip_prefixes(state_dict: Mapping[str, Any]) -> dict[str, Any]:
    """Take off the prefixes that wrappers of a module put before all keys."""
    stripped = dict(state_dict)
    while prefix := next((p for p in _PREFIXES if stripped and all(key.startswith(p) for key in stripped)), None):
        stripped = {key.removeprefix(prefix): value for key, value in stripped.items()}
    return stripped


def _read(state_dict: Mapping[str, TensorRef], read: Callable[[TensorRef], np.ndarray]) -> dict[str, np.ndarray]:
    return strip_prefixes({key: read(tensor) for key, tensor in state_dict.items()})


def _state_dicts(node: dict[Any, Any], name: str, depth: int, seen: set[int]) -> dict[str, dict[str, TensorRef]]:
    """All dictionaries of tensors, by where they are found."""
    tensors = {key: value for key, value in node.items() if isinstance(value, TensorRef) and isinstance(key, str)}
    if tensors:
        return {name: tensors}
    # Pickles can hold the same dictionary under a thousand names, on every level.
    if depth == _DEEPEST or _is_optimizer(node) or id(node) in seen:
        return {}
    seen.add(id(node))
    found: dict[str, dict[str, TensorRef]] = {}
    for key, value in node.items():
        if isinstance(value, dict) and isinstance(key, str):
            found |= _state_dicts(value, f"{name}/{key}" if name else key, depth + 1, seen)
    return found


def _is_optimizer(node: Any) -> bool:
    return isinstance(node, dict) and "param_groups" in node and "state" in node
