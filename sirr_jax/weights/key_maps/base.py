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


class Row(NamedTuple):
    """One array of a state dict.

    Attributes:
        key: its name there.
        path: where it goes in the variables, for example `("params", "encoder", "conv1", "kernel")`. Arrays that the
            network has no use for go to `("carried", key)`, unchanged, so that they can be written back.
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
        rows: hyper-parameters -> the rows in the order of the original state dict.
        read_hyper: shapes of a state dict -> the hyper-parameters that it must have if it belongs to this network at
            all. May raise KeyError or IndexError, or return None, where it does not.
        parts: prefixes, with their dots, of networks that are published as separate files and make up this one.
        untold: hyper-parameters that change what is computed and no shape.
    """

    rows: Callable[[Mapping[str, Any]], list[Row]]
    read_hyper: Callable[[Shapes], Mapping[str, Any] | None]
    parts: tuple[str, ...] = ()
    untold: tuple[str, ...] = ()


def conv(key: str, path: str, *, bias: bool = True) -> list[Row]:
    """`key.weight` (OIHW) and `key.bias` <-> the `conv` layer at `path` ("encoder/conv1")."""
    return _layer(key, path, "conv", bias=bias)


def conv_transpose(key: str, path: str, *, bias: bool = True) -> list[Row]:
    """`key.weight` (IOHW) and `key.bias` <-> the `ConvTranspose` layer at `path`."""
    return _layer(key, path, "conv_transpose", bias=bias)


def linear(key: str, path: str, *, bias: bool = True) -> list[Row]:
    """`key.weight` (out, in) and `key.bias` <-> the `Dense` layer at `path`."""
    return _layer(key, path, "linear", bias=bias)


def norm(key: str, path: str) -> list[Row]:
    """`key.weight`, `key.bias` <-> `scale`, `bias` at `path`."""
    parents = ("params", *path.split("/"))
    return [Row(f"{key}.weight", (*parents, "scale")), Row(f"{key}.bias", (*parents, "bias"))]


def batch_norm(key: str, path: str) -> list[Row]:
    """Torch's five arrays <-> the `BatchNorm` layer at `path`; `num_batches_tracked` is carried where it is present."""
    statistics = ("batch_stats", *path.split("/"))
    return [
        *norm(key, path),
        Row(f"{key}.running_mean", (*statistics, "mean")),
        Row(f"{key}.running_var", (*statistics, "var")),
        *carried(f"{key}.num_batches_tracked", optional=True),
    ]


def carried(*keys: str, optional: bool = False) -> list[Row]:
    """Arrays that the published files hold and the network does not use."""
    return [Row(key, ("carried", key), optional=optional) for key in keys]


def _layer(key: str, path: str, layout: Layout, *, bias: bool) -> list[Row]:
    parents = ("params", *path.split("/"))
    rows = [Row(f"{key}.weight", (*parents, "kernel"), layout)]
    return [*rows, Row(f"{key}.bias", (*parents, "bias"))] if bias else rows


def prefixed(prefix: str, rows: Iterable[Row]) -> list[Row]:
    """The same rows with `prefix` before every key."""
    return [
        row._replace(key=prefix + row.key, path=("carried", prefix + row.key))
        if row.path[0] == "carried"
        else row._replace(key=prefix + row.key)
        for row in rows
    ]


def nested(path: str, rows: Iterable[Row]) -> list[Row]:
    """The same rows with their layers inside the module at `path`."""
    inner = tuple(path.split("/"))
    return [
        row if row.path[0] == "carried" else row._replace(path=(row.path[0], *inner, *row.path[1:])) for row in rows
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
