"""The vocabulary of key maps: which array of a state dict is which variable, and in what layout."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, NamedTuple

import numpy as np

Layout = Literal["same", "conv", "conv_transpose", "linear"]
Shapes = Mapping[str, tuple[int, ...]]

# Axes of the Flax array, named by their positions in torch's; torch conv is OIHW, transposed conv IOHW, linear OI.
_TO_FLAX = {"conv": (2, 3, 1, 0), "conv_transpose": (2, 3, 0, 1), "linear": (1, 0)}
_TO_TORCH = {"conv": (3, 2, 0, 1), "conv_transpose": (2, 3, 0, 1), "linear": (1, 0)}


class KeyRule(NamedTuple):
    """One array of a state dict.

    Attributes:
        key: its name there.
        path: where it goes in the variables, for example `("params", "encoder", "conv1", "kernel")`. Arrays that the
            network has no use for go to `("passthrough", key)`, unchanged, so that they can be written back.
        layout: how its axes are ordered there.
        optional: whether it may be absent.
    """

    key: str
    path: tuple[str, ...]
    layout: Layout = "same"
    optional: bool = False


class KeyMap(NamedTuple):
    """How the state dict of one network corresponds to its variables.

    Attributes:
        rows: arguments -> the rows in the order of the original state dict.
        infer_model_args: shapes of a state dict -> the arguments that it must have if it belongs to this network at
            all. May raise KeyError or IndexError, or return None, where it does not.
        parts: prefixes, with their dots, of networks that are published as separate files and make up this one.
        undetectable: arguments that change what is computed and no shape.
    """

    rows: Callable[[Mapping[str, Any]], list[KeyRule]]
    infer_model_args: Callable[[Shapes], Mapping[str, Any] | None]
    parts: tuple[str, ...] = ()
    undetectable: tuple[str, ...] = ()


def conv(key: str, path: str, *, bias: bool = True) -> list[KeyRule]:
    """`key.weight` (OIHW) and `key.bias` <-> the `conv` layer at `path` ("encoder/conv1")."""
    return _layer(key, path, "conv", bias=bias)


def conv_transpose(key: str, path: str, *, bias: bool = True) -> list[KeyRule]:
    """`key.weight` (IOHW) and `key.bias` <-> the `ConvTranspose` layer at `path`."""
    return _layer(key, path, "conv_transpose", bias=bias)


def linear(key: str, path: str, *, bias: bool = True) -> list[KeyRule]:
    """`key.weight` (out, in) and `key.bias` <-> the `Dense` layer at `path`."""
    return _layer(key, path, "linear", bias=bias)


def norm(key: str, path: str) -> list[KeyRule]:
    """`key.weight`, `key.bias` <-> `scale`, `bias` at `path`."""
    parents = ("params", *path.split("/"))
    return [KeyRule(f"{key}.weight", (*parents, "scale")), KeyRule(f"{key}.bias", (*parents, "bias"))]


def batch_norm(key: str, path: str) -> list[KeyRule]:
    """Torch's five arrays <-> the `BatchNorm` layer at `path`; `num_batches_tracked` is carried where it is present."""
    statistics = ("batch_stats", *path.split("/"))
    return [
        *norm(key, path),
        KeyRule(f"{key}.running_mean", (*statistics, "mean")),
        KeyRule(f"{key}.running_var", (*statistics, "var")),
        *passthrough(f"{key}.num_batches_tracked", optional=True),
    ]


def passthrough(*keys: str, optional: bool = False) -> list[KeyRule]:
    """Arrays that the published files hold and the network does not use."""
    return [KeyRule(key, ("passthrough", key), optional=optional) for key in keys]


def _layer(key: str, path: str, layout: Layout, *, bias: bool) -> list[KeyRule]:
    parents = ("params", *path.split("/"))
    rows = [KeyRule(f"{key}.weight", (*parents, "kernel"), layout)]
    return [*rows, KeyRule(f"{key}.bias", (*parents, "bias"))] if bias else rows


def prefixed(prefix: str, rows: Iterable[KeyRule]) -> list[KeyRule]:
    """The same rows with `prefix` before every key."""
    return [
        row._replace(key=prefix + row.key, path=("passthrough", prefix + row.key))
        if row.path[0] == "passthrough"
        else row._replace(key=prefix + row.key)
        for row in rows
    ]


def nested(path: str, rows: Iterable[KeyRule]) -> list[KeyRule]:
    """The same rows with their layers inside the module at `path`."""
    inner = tuple(path.split("/"))
    return [
        row if row.path[0] == "passthrough" else row._replace(path=(row.path[0], *inner, *row.path[1:])) for row in rows
    ]


def to_flax(array: np.ndarray, layout: Layout) -> np.ndarray:
    """A view with Flax's order of axes."""
    return array if layout == "same" else array.transpose(_TO_FLAX[layout])


def to_torch(array: np.ndarray, layout: Layout) -> np.ndarray:
    """A view with torch's order of axes."""
    return array if layout == "same" else array.transpose(_TO_TORCH[layout])


def torch_shape(shape: tuple[int, ...], layout: Layout) -> tuple[int, ...]:
    """The shape in torch's order of an array that has `shape` in Flax's."""
    return shape if layout == "same" else tuple(shape[axis] for axis in _TO_TORCH[layout])
