"""Extracts state dicts from the checkpoints that training code saves."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from sirr_jax.weights.errors import ConversionError
from sirr_jax.weights.readers.checkpoint_contents import Contents, TensorGroup, is_optimizer, read_contents
from sirr_jax.weights.readers.inert_object import InertObject
from sirr_jax.weights.readers.moving_average import complete, is_average_name
from sirr_jax.weights.readers.restricted_unpickler import TensorRef

LIVE = "live"
"""Name of a part that stands for the live weights, where a file also contains their moving average."""

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
_MAX_LISTED = 12


def select_state_dict(tree: Any, *, part: str | None, read: Callable[[TensorRef], np.ndarray]) -> dict[str, Any]:
    """Selects the state dict of a checkpoint and reads its tensors. A moving average is preferred to live weights.

    Args:
        tree: contents of the file, with tensors as `TensorRef`.
        part: name of the state dict to select, or `LIVE`; None to select it by its usual names.
        read: function that reads the array of a `TensorRef`.

    Returns:
        `{key: array}`, or `{name: {key: array}}`; see `sirr_jax.weights.readers.torch_file.read_torch`.

    Raises:
        ConversionError: There is no state dict, or none of that name.
    """
    contents = checked_contents(tree)
    groups = select_part(contents, part).groups
    live = [group for group in contents.groups if not group.is_average]
    chosen = {g.name: _completed(g.tensors, live) for g in groups if g.is_average} or {
        g.name: g.tensors for g in groups
    }
    state_dicts = {name: {k: read(tensor) for k, tensor in tensors.items()} for name, tensors in best(chosen).items()}
    if len(state_dicts) == 1:
        return strip_prefixes(next(iter(state_dicts.values())))
    return {name: strip_prefixes(state_dict) for name, state_dict in state_dicts.items()}


def checked_contents(tree: Any) -> Contents:
    """Sorts the contents of a checkpoint that contains weights.

    Args:
        tree: contents of the file.

    Raises:
        ConversionError: It contains no weights.
    """
    if hasattr(tree, "shape"):
        raise ConversionError("the file contains a single tensor; expected a state dict, {name: tensor}")
    if isinstance(tree, InertObject):
        raise ConversionError(_whole_object(tree.class_name))
    if not isinstance(tree, Mapping):
        raise ConversionError(f"the file contains a {type(tree).__name__}; expected a state dict, {{name: tensor}}")
    contents = read_contents(tree)
    if contents.groups:
        # Counters beside the weights are no state dict of their own.
        large = tuple(group for group in contents.groups if any(_size(x) > 1 for x in group.tensors.values()))
        return contents._replace(groups=large or contents.groups)
    for name, class_name in contents.pickled.items():
        if name in _WRAPPERS or any(map(is_average_name, name.split("."))):
            raise ConversionError(_whole_object(class_name))
    if is_optimizer(tree) or any(is_optimizer(value) for value in tree.values()):
        raise ConversionError("the file contains the state of an optimizer; expected the weights of a network")
    if contents.pickled:
        raise ConversionError(_whole_object(next(iter(contents.pickled.values()))))
    raise ConversionError("the file contains no tensors; expected a state dict, {name: tensor}")


def select_part(contents: Contents, part: str | None) -> Contents:
    """Returns the contents below one name.

    Args:
        contents: contents of a checkpoint.
        part: full name, or its last components, joined by dots or slashes; `LIVE` for all but moving averages; None
            for all.

    Raises:
        ConversionError: There is nothing, or more than one thing, of that name.
    """
    if part is None:
        return contents
    if part == LIVE and not any(_names(group, LIVE) for group in contents.groups):
        return contents._replace(groups=tuple(g for g in contents.groups if not g.is_average), nameless={})
    found = {name: below for group in contents.groups for name, below in _names(group, part).items()}
    exact = {name for name in found if name == _dotted(part)}
    # A name that live weights and an average share is that of the live weights.
    live = {name for name in found if not any(map(is_average_name, name.split(".")))}
    names = exact or live or set(found)
    if len(names) != 1:
        problem = f"the file has several parts {part!r}: {', '.join(sorted(names))}; name one" if names else ""
        raise ConversionError(problem or f"the file has no part {part!r}; it has {', '.join(part_names(contents))}")
    (name,) = names
    groups = [_below(group, name) for group in contents.groups]
    nameless = {key: value for key, value in contents.nameless.items() if f"{key}.".startswith(f"{name}.")}
    return contents._replace(groups=tuple(group for group in groups if group.tensors), nameless=nameless)


def part_names(contents: Contents) -> list[str]:
    """Lists names that select a part of a checkpoint.

    Args:
        contents: contents of a checkpoint.
    """
    names: dict[str, None] = {}
    for group in contents.groups:
        heads = dict.fromkeys(key.partition(".")[0] for key in group.tensors if "." in key)
        if group.name:
            names[group.name] = None
        if not group.name and len(heads) > 1:
            names |= heads
    listed = list(names)
    return [*listed[:_MAX_LISTED], "..."] if len(listed) > _MAX_LISTED else listed or ["one state dict without a name"]


def subtrees(group: TensorGroup, depth: int = 4) -> Iterator[TensorGroup]:
    """Yields a group and the groups below each component of its keys, outer ones first.

    Args:
        group: tensors.
        depth: number of components.
    """
    yield group
    children: dict[str, dict[str, Any]] = {}
    for key, tensor in group.tensors.items():
        head, dot, tail = key.partition(".")
        if dot:
            children.setdefault(head, {})[tail] = tensor
    for head, tensors in children.items() if depth else ():
        if len(tensors) > 1:
            yield from subtrees(TensorGroup(join(group.name, head), tensors, group.is_average), depth - 1)


def best(state_dicts: Mapping[str, Any]) -> dict[str, Any]:
    """Narrows state dicts by the names under which repositories store the weights of the network.

    Args:
        state_dicts: anything by name.

    Returns:
        Those with the best name; all if none has such a name.
    """
    remaining = dict(state_dicts)
    while len(remaining) > 1:
        wrapper = next((w for w in _WRAPPERS if any(w in name.split(".") for name in remaining)), None)
        narrowed = {name: value for name, value in remaining.items() if wrapper in name.split(".")}
        if len(narrowed) == len(remaining) or not narrowed:
            break
        remaining = narrowed
    return remaining


def strip_prefixes(state_dict: Mapping[str, Any]) -> dict[str, Any]:
    """Removes the prefixes that wrappers of a module put before all keys."""
    stripped = dict(state_dict)
    while prefix := next((p for p in _PREFIXES if stripped and all(key.startswith(p) for key in stripped)), None):
        stripped = {key.removeprefix(prefix): value for key, value in stripped.items()}
    return stripped


def join(*names: str) -> str:
    """Joins names by dots, without empty ones.

    Args:
        *names: names.
    """
    return ".".join(filter(None, names))


def _completed(average: Mapping[str, Any], live: list[TensorGroup]) -> Mapping[str, Any]:
    own = strip_prefixes(average)
    candidates = (strip_prefixes(tree.tensors) for group in live for tree in subtrees(group))
    return next((whole for candidate in candidates if (whole := complete(own, candidate)) is not None), average)


def _names(group: TensorGroup, part: str) -> dict[str, None]:
    """Returns the full names in a group that end in the components of `part`, without those inside each other."""
    wanted = tuple(_dotted(part).split("."))
    head = tuple(group.name.split(".")) if group.name else ()
    names: dict[str, None] = {}
    for key in group.tensors:
        full = (*head, *key.split("."))
        end = next((e for e in range(len(wanted), len(full)) if full[e - len(wanted) : e] == wanted), None)
        if end is not None:
            names[".".join(full[:end])] = None
    return names


def _below(group: TensorGroup, name: str) -> TensorGroup:
    if f"{group.name}.".startswith(f"{name}."):
        return group
    prefix = name.removeprefix(f"{group.name}.") if group.name else name
    if group.name and prefix == name:
        return group._replace(tensors={})
    tensors = {k.removeprefix(f"{prefix}."): x for k, x in group.tensors.items() if k.startswith(f"{prefix}.")}
    return TensorGroup(name, tensors, group.is_average)


def _dotted(part: str) -> str:
    return part.replace("/", ".").strip(".")


def _size(tensor: Any) -> int:
    return math.prod(tensor.shape)


def _whole_object(class_name: str) -> str:
    return (
        f"the file contains a whole pickled object of the class {class_name}, not a state dict, and reading it would "
        "run its code; nothing was run. Save the state dict in the program that made it: "
        "torch.save(model.state_dict(), path)"
    )
