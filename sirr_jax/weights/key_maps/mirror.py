"""Key maps of networks without published weights: the state dict mirrors the Flax tree, in torch's layouts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sirr_jax.weights.key_maps.base import KeyMap, KeyRule, Layout, Shapes
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
    infer_model_args: Callable[[Shapes], Mapping[str, Any] | None],
    *,
    is_transposed: Callable[[tuple[str, ...]], bool] = lambda path: False,  # noqa: ARG005
    undetectable: tuple[str, ...] = (),
) -> KeyMap:
    """Makes a key map that follows the module paths: `encoder.conv1.weight` for `encoder/conv1/kernel`.

    Layers with spectral normalization have torch's three arrays, `weight_orig`, `weight_u` and `weight_v`.

    Args:
        network_id: network id.
        infer_model_args: see `KeyMap`.
        is_transposed: predicate, true for the path of a transposed convolution.
        undetectable: see `KeyMap`.
    """

    def make_rules(model_args: Mapping[str, Any]) -> list[KeyRule]:
        rules = []
        flat = flatten(variable_shapes(network_id, **model_args))
        for path, leaf in flat.items():
            layout: Layout = "same"
            if path[-1] == "kernel":
                layout = {2: "linear", 4: "conv_transpose" if is_transposed(path) else "conv"}[len(leaf.shape)]
            name = _NAMES.get(path[-1], path[-1])
            if name == "weight" and ("batch_stats", *path[1:-1], "u") in flat:
                name = "weight_orig"
            rules.append(KeyRule(".".join((*path[1:-1], name)), path, layout))
        return rules

    return KeyMap(make_rules, infer_model_args, undetectable=undetectable)
