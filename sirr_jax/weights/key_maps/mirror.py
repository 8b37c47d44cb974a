"""Networks of our own design: their state dict mirrors the Flax tree, in torch's layouts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sirr_jax.weights.key_maps.base import KeyMap, Layout, Row, Shapes
from sirr_jax.weights.variables import flatten, variable_shapes

_NAMES = {
    "kernel": "weight",
    "scale": "weight",
    "mean": "running_mean",
    "var": "running_var",
    "u": "weight_u",
    "v": "weight_v",
}


def mirror(
    network_id: str,
    read_hyper: Callable[[Shapes], Mapping[str, Any] | None],
    *,
    transposed: Callable[[tuple[str, ...]], bool] = lambda path: False,  # noqa: ARG005
    untold: tuple[str, ...] = (),
) -> KeyMap:
    """A key map for a network that no one published: `encoder.conv1.weight` for `encoder/conv1/kernel`.

    Layers with spectral normalisation have torch's three arrays, `weight_orig`, `weight_u` and `weight_v`.

    Args:
        network_id: the network.
        read_hyper: see `KeyMap`.
        transposed: tells the paths of transposed convolutions.
        untold: see `KeyMap`.
    """

    def rows(hyper: Mapping[str, Any]) -> list[Row]:
        found = []
        flat = flatten(variable_shapes(network_id, **hyper))
        for path, leaf in flat.items():
            layout: Layout = "same"
            if path[-1] == "kernel":
                layout = {2: "linear", 4: "conv_transpose" if transposed(path) else "conv"}[len(leaf.shape)]
            name = _NAMES.get(path[-1], path[-1])
            if name == "weight" and ("batch_stats", *path[1:-1], "u") in flat:
                name = "weight_orig"
            found.append(Row(".".join((*path[1:-1], name)), path, layout))
        return found

    return KeyMap(rows, read_hyper, untold=untold)
