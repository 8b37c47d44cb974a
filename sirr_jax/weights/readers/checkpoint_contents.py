"""Sorts the tensors of a checkpoint: state dicts, moving averages, and what else there is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from sirr_jax.weights.readers.inert_object import InertObject
from sirr_jax.weights.readers.moving_average import is_average_name

Path = tuple[str, ...]

_MAX_DEPTH = 5


class TensorGroup(NamedTuple):
    """Tensors of one dictionary, or of one moving average in it.

    Attributes:
        name: names of the dictionaries and the common prefix of the keys, joined by dots; "" for the file itself.
        tensors: tensors (anything with a shape) by their keys without `name`.
        is_average: whether they are a moving average of weights.
    """

    name: str
    tensors: dict[str, Any]
    is_average: bool = False


class Contents(NamedTuple):
    """What a checkpoint contains.

    Attributes:
        groups: groups of tensors, in the file's order.
        nameless: moving averages without keys: lists of tensors by name.
        pickled: pickled objects in place of weights: class by name.
        others: names of the entries of the file that contain no tensors.
    """

    groups: tuple[TensorGroup, ...]
    nameless: dict[str, tuple[Any, ...]]
    pickled: dict[str, str]
    others: tuple[str, ...]


def read_contents(tree: Mapping[Any, Any]) -> Contents:
    """Sorts the contents of a checkpoint.

    A moving average is what lies under a name with a word such as "ema", or in the module of torch's `AveragedModel`,
    which has a counter `n_averaged` beside it.

    Args:
        tree: nested dictionaries; tensors are what has a shape. States of optimizers are left out.
    """
    walk = _Walk()
    walk.visit(tree, ())
    averages = _average_prefixes(walk.tensors, tree)
    groups: dict[tuple[Path, bool], dict[str, Any]] = {}
    for (path, components), tensor in walk.tensors.items():
        prefix = next((components[:i] for i in range(len(components), 0, -1) if components[:i] in averages), None)
        average = prefix is not None and averages[prefix]
        start = prefix if average and prefix is not None else path
        groups.setdefault((start, average), {})[".".join(components[len(start) :])] = tensor
    sorted_groups = (TensorGroup(".".join(path), tensors, average) for (path, average), tensors in groups.items())
    others = tuple(
        str(key)[:60]
        for key, value in tree.items()
        if not hasattr(value, "shape") and not any(path[:1] == (key,) for path, _ in walk.tensors)
    )
    return Contents(tuple(sorted_groups), walk.nameless, walk.pickled, others)


def is_optimizer(node: Any) -> bool:
    """Returns whether a dictionary is the state of an optimizer.

    Args:
        node: part of a checkpoint.
    """
    return isinstance(node, Mapping) and "param_groups" in node and "state" in node


class _Walk:
    """Collects the tensors of nested dictionaries: (path of the dictionary, all components) -> tensor."""

    def __init__(self) -> None:
        self.tensors: dict[tuple[Path, Path], Any] = {}
        self.nameless: dict[str, tuple[Any, ...]] = {}
        self.pickled: dict[str, str] = {}
        self._visited: set[int] = set()

    def visit(self, node: Mapping[Any, Any], path: Path) -> None:
        # A pickle can contain the same dictionary under thousands of names, on every level.
        if len(path) > _MAX_DEPTH or is_optimizer(node) or id(node) in self._visited:
            return
        self._visited.add(id(node))
        for key, value in node.items():
            name = key.class_name.rpartition(".")[2] if isinstance(key, InertObject) else key
            if not isinstance(name, str):
                continue
            below = (*path, name)
            if hasattr(value, "shape"):
                self.tensors[path, (*path, *name.split("."))] = value
            elif isinstance(value, Mapping) and not _is_numbered(value):
                self.visit(value, below)
            elif isinstance(value, InertObject):
                self.pickled[".".join(below)] = value.class_name
            elif any(map(is_average_name, below)) and _is_list_of_tensors(value):
                self.nameless[".".join(below)] = tuple(value.values() if isinstance(value, Mapping) else value)


def _is_list_of_tensors(value: Any) -> bool:
    items = value.values() if _is_numbered(value) else value
    is_list = isinstance(value, list | tuple) or _is_numbered(value)
    return is_list and bool(value) and all(hasattr(item, "shape") for item in items)


def _is_numbered(value: Any) -> bool:
    """Whether a dictionary is a list in disguise: {0: ..., 1: ...}."""
    return isinstance(value, Mapping) and bool(value) and all(isinstance(key, int) for key in value)


def _average_prefixes(tensors: Mapping[tuple[Path, Path], Any], tree: Mapping[Any, Any]) -> dict[Path, bool]:
    """Returns the beginnings of names under which lie averages (True), or live weights inside an average's (False)."""
    deepest: set[Path] = set()
    for _, components in tensors:
        marked = [i for i, component in enumerate(components[:-1], 1) if is_average_name(component)]
        if marked:
            deepest.add(components[: marked[-1]])
        if components[-1] == "n_averaged" and any(
            c[: len(components)] == (*components[:-1], "module") for _, c in tensors
        ):
            deepest.add((*components[:-1], "module"))
    # {"ema": {"online_model": ..., "ema_model": ...}}: only the innermost name is an average's.
    prefixes = {p: not any(q != p and q[: len(p)] == p for q in deepest) for p in deepest}
    if _is_swapped(tree):
        # MMEngine and Lightning exchange the two when they save.
        prefixes = {p: average and p[0] != "ema_state_dict" for p, average in prefixes.items()}
        prefixes[("state_dict",)] = True
    return prefixes


def _is_swapped(tree: Mapping[Any, Any]) -> bool:
    """Whether `state_dict` contains the average, and another entry the live weights."""
    live, meta = tree.get("ema_state_dict"), tree.get("meta")
    by_mmengine = (
        isinstance(live, Mapping)
        and "steps" in live
        and ("message_hub" in tree or (isinstance(meta, Mapping) and "mmengine_version" in meta))
    )
    return "state_dict" in tree and (by_mmengine or {"current_model_state", "averaging_state"} <= tree.keys())
