"""Conversion of state dicts to variables and back."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from typing import Any

import ml_dtypes
import numpy as np

from sirr_jax.weights.errors import ConversionError
from sirr_jax.weights.key_maps import key_map
from sirr_jax.weights.key_maps.base import KeyRule, to_flax, torch_shape
from sirr_jax.weights.key_maps.base import to_torch as to_torch_order
from sirr_jax.weights.readers.checkpoint_unwrap import strip_prefixes
from sirr_jax.weights.variables import flatten, variable_shapes


def from_torch(network_id: str, state_dict: Mapping[str, Any], **model_args: Any) -> dict[str, Any]:
    """Converts a state dict to the variables of a network.

    Args:
        network_id: network id, see `sirr_jax.list_networks`.
        state_dict: `{key: array}` with the published keys; NumPy arrays or torch tensors. For a network that is
            published in several files, the merged state dicts with a prefix for each part ("G_T.", "G_R.").
        **model_args: arguments for `sirr_jax.build`.

    Returns:
        `{"params": ..., "batch_stats": ..., "passthrough": ...}`, as far as the network has them: nested dicts of NumPy
        arrays that share memory with the input and keep its dtypes. "passthrough" contains arrays that the network
        does not use, such as step counters, so that `to_torch` can return them.

    Raises:
        ConversionError: Keys are missing, unexpected or have wrong shapes; the message lists all of them.
        UserError: The id is unknown.
    """
    rules, shapes = _rules(network_id, model_args)
    arrays = {key: as_numpy(value) for key, value in strip_prefixes(state_dict).items()}
    missing = [rule.key for rule in rules if rule.key not in arrays and not rule.optional]
    known = {rule.key for rule in rules}
    unexpected = [key for key in arrays if key not in known]
    misshaped = [
        (rule.key, arrays[rule.key].shape, shapes[rule.key])
        for rule in rules
        if rule.key in arrays and rule.key in shapes and arrays[rule.key].shape != shapes[rule.key]
    ]
    if missing or unexpected or misshaped:
        raise ConversionError(network_id, missing=missing, unexpected=unexpected, misshaped=misshaped)
    variables: dict[str, Any] = {}
    for rule in rules:
        if rule.key in arrays:
            *parents, name = rule.path
            node = variables
            for parent in parents:
                node = node.setdefault(parent, {})
            node[name] = to_flax(arrays[rule.key], rule.layout)
    return variables


def to_torch(network_id: str, variables: Mapping[str, Any], **model_args: Any) -> dict[str, np.ndarray]:
    """Converts the variables of a network to a state dict; the inverse of `from_torch`.

    Args:
        network_id: network id, see `sirr_jax.list_networks`.
        variables: variables from `from_torch` or `module.init`, trained or not.
        **model_args: arguments for `sirr_jax.build`.

    Returns:
        `{key: array}` with the published keys in their order and torch's shapes; C-ordered NumPy arrays. Arrays that
        the network does not use are included if they are in the collection "passthrough".

    Raises:
        ConversionError: Variables are missing, unexpected or have wrong shapes; the message lists their paths.
        UserError: The id is unknown.
    """
    rules, shapes = _rules(network_id, model_args)
    flat = flatten(variables)
    missing, misshaped, state_dict = [], [], {}
    for rule in rules:
        value = flat.pop(rule.path, None)
        if value is None:
            if not rule.optional and rule.path[0] != "passthrough":
                missing.append("/".join(rule.path))
            continue
        array = np.asarray(value)
        same_rank = array.ndim == len(shapes.get(rule.key, array.shape))
        shape = torch_shape(array.shape, rule.layout) if same_rank else None
        if rule.key in shapes and shape != shapes[rule.key]:
            misshaped.append(("/".join(rule.path), array.shape, shapes[rule.key]))
        else:
            state_dict[rule.key] = np.asarray(to_torch_order(array, rule.layout), order="C")
    unexpected = ["/".join(path) for path in flat]
    if missing or unexpected or misshaped:
        raise ConversionError(network_id, missing=missing, unexpected=unexpected, misshaped=misshaped)
    return state_dict


def expected_shapes(network_id: str, **model_args: Any) -> dict[str, tuple[int, ...]]:
    """Returns the keys that a state dict of a network must have, in order, with torch's shapes.

    Args:
        network_id: network id, see `sirr_jax.list_networks`.
        **model_args: arguments for `sirr_jax.build`.

    Returns:
        `{key: shape}`.

    Raises:
        UserError: The id is unknown.
    """
    rules, shapes = _rules(network_id, model_args)
    return {rule.key: shapes[rule.key] for rule in rules if rule.key in shapes}


def as_numpy(value: Any) -> np.ndarray:
    """Converts a NumPy array, JAX array or torch tensor to NumPy, without a copy where possible."""
    if hasattr(value, "detach"):
        tensor = value.detach().cpu()
        if str(tensor.dtype) == "torch.bfloat16":
            return tensor.view(dtype=tensor.new_empty(0).short().dtype).numpy().view(ml_dtypes.bfloat16)
        return tensor.numpy()
    return np.asarray(value)


def _rules(network_id: str, model_args: Mapping[str, Any]) -> tuple[list[KeyRule], dict[str, tuple[int, ...]]]:
    """Returns the rules, and by key the shapes of the arrays that the network uses."""
    # The computation dtype changes no shape.
    shape_args = {name: value for name, value in model_args.items() if name != "dtype"}
    return _cached_rules(network_id, json.dumps(shape_args, sort_keys=True))


@functools.cache
def _cached_rules(network_id: str, model_args_json: str) -> tuple[list[KeyRule], dict[str, tuple[int, ...]]]:
    model_args = json.loads(model_args_json)
    rules = key_map(network_id).rules(model_args)
    flat = flatten(variable_shapes(network_id, **model_args))
    shapes = {
        rule.key: torch_shape(flat[rule.path].shape, rule.layout) for rule in rules if rule.path[0] != "passthrough"
    }
    return rules, shapes
