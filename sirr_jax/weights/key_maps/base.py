"""Building blocks of key maps: which array of a state dict is which variable, and in which axis order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, NamedTuple

import numpy as np

Layout = Literal["same", "conv", "conv_transpose", "linear"]
Shapes = Mapping[str, tuple[int, ...]]

_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")

# Transpositions. Torch stores convolutions as OIHW, transposed convolutions as IOHW, linear layers as OI.
_TO_FLAX = {"conv": (2, 3, 1, 0), "conv_transpose": (2, 3, 0, 1), "linear": (1, 0)}
_TO_TORCH = {"conv": (3, 2, 0, 1), "conv_transpose": (2, 3, 0, 1), "linear": (1, 0)}


class KeyRule(NamedTuple):
    """Rule for one array of a state dict.

    Attributes:
        key: key in the state dict.
        path: path in the variables, for example `("params", "encoder", "conv1", "kernel")`. Arrays that the network
            does not use are stored unchanged at `("passthrough", key)`, so that they can be written back.
        layout: axis order in the state dict.
        optional: whether the array may be absent.
    """

    key: str
    path: tuple[str, ...]
    layout: Layout = "same"
    optional: bool = False


class KeyMap(NamedTuple):
    """Correspondence between the state dict of one network and its variables.

    Attributes:
        rules: function from model arguments to rules, in the order of the original state dict.
        infer_model_args: function from the shapes of a state dict to the model arguments under which it fits this
            network. Returns None or raises KeyError or IndexError where the state dict is of another network.
        parts: key prefixes (with their dots) of the parts that are published as separate files.
        undetectable: arguments that change the computation but no shape.
    """

    rules: Callable[[Mapping[str, Any]], list[KeyRule]]
    infer_model_args: Callable[[Shapes], Mapping[str, Any] | None]
    parts: tuple[str, ...] = ()
    undetectable: tuple[str, ...] = ()


def conv(key: str, path: str, *, bias: bool = True) -> list[KeyRule]:
    """Maps `key.weight` (OIHW) and `key.bias` to the convolution at `path` ("encoder/conv1")."""
    return _layer(key, path, "conv", bias=bias)


def conv_transpose(key: str, path: str, *, bias: bool = True) -> list[KeyRule]:
    """Maps `key.weight` (IOHW) and `key.bias` to the transposed convolution at `path`."""
    return _layer(key, path, "conv_transpose", bias=bias)


def linear(key: str, path: str, *, bias: bool = True) -> list[KeyRule]:
    """Maps `key.weight` (out, in) and `key.bias` to the dense layer at `path`."""
    return _layer(key, path, "linear", bias=bias)


def norm(key: str, path: str) -> list[KeyRule]:
    """Maps `key.weight` and `key.bias` to `scale` and `bias` at `path`."""
    parents = ("params", *path.split("/"))
    return [KeyRule(f"{key}.weight", (*parents, "scale")), KeyRule(f"{key}.bias", (*parents, "bias"))]


def batch_norm(key: str, path: str) -> list[KeyRule]:
    """Maps torch's five arrays to the `BatchNorm` at `path`; `num_batches_tracked` is optional and passed through."""
    statistics = ("batch_stats", *path.split("/"))
    return [
        *norm(key, path),
        KeyRule(f"{key}.running_mean", (*statistics, "mean")),
        KeyRule(f"{key}.running_var", (*statistics, "var")),
        *passthrough(f"{key}.num_batches_tracked", optional=True),
    ]


def instance_norm(key: str) -> list[KeyRule]:
    """Passes through the running statistics of an instance normalization, which PyTorch before 0.4 saved unused."""
    return passthrough(*(f"{key}.{name}" for name in _STATISTICS), optional=True)


def is_statistic(key: str) -> bool:
    """Returns whether an array is a running statistic of a normalization, or the counter of its updates."""
    return key.rpartition(".")[2] in _STATISTICS


def passthrough(*keys: str, optional: bool = False) -> list[KeyRule]:
    """Makes rules for arrays of the published files that the network does not use."""
    return [KeyRule(key, ("passthrough", key), optional=optional) for key in keys]


def _layer(key: str, path: str, layout: Layout, *, bias: bool) -> list[KeyRule]:
    parents = ("params", *path.split("/"))
    rules = [KeyRule(f"{key}.weight", (*parents, "kernel"), layout)]
    return [*rules, KeyRule(f"{key}.bias", (*parents, "bias"))] if bias else rules


def prefixed(prefix: str, rules: Iterable[KeyRule]) -> list[KeyRule]:
    """Puts `prefix` before the key of every rule."""
    return [
        rule._replace(key=prefix + rule.key, path=("passthrough", prefix + rule.key))
        if rule.path[0] == "passthrough"
        else rule._replace(key=prefix + rule.key)
        for rule in rules
    ]


def nested(path: str, rules: Iterable[KeyRule]) -> list[KeyRule]:
    """Moves the layers of all rules into the module at `path`."""
    parents = tuple(path.split("/"))
    return [
        rule if rule.path[0] == "passthrough" else rule._replace(path=(rule.path[0], *parents, *rule.path[1:]))
        for rule in rules
    ]


def to_flax(array: np.ndarray, layout: Layout) -> np.ndarray:
    """Returns a view of a torch array in Flax's axis order."""
    return array if layout == "same" else array.transpose(_TO_FLAX[layout])


def to_torch(array: np.ndarray, layout: Layout) -> np.ndarray:
    """Returns a view of a Flax array in torch's axis order."""
    return array if layout == "same" else array.transpose(_TO_TORCH[layout])


def torch_shape(shape: tuple[int, ...], layout: Layout) -> tuple[int, ...]:
    """Converts the shape of a Flax array to torch's axis order."""
    return shape if layout == "same" else tuple(shape[axis] for axis in _TO_TORCH[layout])
