"""State dicts <-> variables."""

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
from sirr_jax.weights.key_maps.base import to_torch as reorder
from sirr_jax.weights.readers.checkpoint_unwrap import strip_prefixes
from sirr_jax.weights.variables import flatten, variable_shapes


def from_torch(network_id: str, state_dict: Mapping[str, Any], **model_args: Any) -> dict[str, Any]:
    """A state dict as a network's variables.

    Args:
        network_id: see `sirr_jax.list_networks`.
        state_dict: `{key: array}` with the published keys; NumPy arrays or torch tensors. Networks published in several
            files take their state dicts together, under the prefixes of their parts ("G_T.", "G_R.").
        **model_args: the arguments for `sirr_jax.build`.

    Returns:
        `{"params": ..., "batch_stats": ..., "passthrough": ...}`, as far as the network has them: nested dicts of NumPy
        arrays that share memory with the input and keep its number types. "passthrough" holds what the network has no
        use for, such as step counters, so that `to_torch` gives it back.

    Raises:
        ConversionError: lists every missing, unexpected and mis-shaped key.
    """
    rows, shapes = _rows(network_id, model_args)
    arrays = {key: as_numpy(value) for key, value in strip_prefixes(state_dict).items()}
    missing = [row.key for row in rows if row.key not in arrays and not row.optional]
    known = {row.key for row in rows}
    unexpected = [key for key in arrays if key not in known]
    misshaped = [
        (row.key, arrays[row.key].shape, shapes[row.key])
        for row in rows
        if row.key in arrays and row.key in shapes and arrays[row.key].shape != shapes[row.key]
    ]
    if missing or unexpected or misshaped:
        raise ConversionError(network_id, missing=missing, unexpected=unexpected, misshaped=misshaped)
    variables: dict[str, Any] = {}
    for row in rows:
        if row.key in arrays:
            *parents, name = row.path
            node = variables
            for parent in parents:
                node = node.setdefault(parent, {})
            node[name] = to_flax(arrays[row.key], row.layout)
    return variables


def to_torch(network_id: str, variables: Mapping[str, Any], **model_args: Any) -> dict[str, np.ndarray]:
    """The opposite of `from_torch`: the published keys in their order, with torch's shapes.

    Args:
        network_id: see `sirr_jax.list_networks`.
        variables: what `from_torch` or `module.init` returned, trained or not.
        **model_args: the arguments for `sirr_jax.build`.

    Returns:
        C-ordered NumPy arrays. What the published files hold besides and the network does not use comes back if it is
        in the collection "passthrough".

    Raises:
        ConversionError: if variables are missing, unexpected or mis-shaped; named by their paths.
    """
    rows, shapes = _rows(network_id, model_args)
    flat = flatten(variables)
    missing, misshaped, state_dict = [], [], {}
    for row in rows:
        value = flat.pop(row.path, None)
        if value is None:
            if not row.optional and row.path[0] != "passthrough":
                missing.append("/".join(row.path))
            continue
        array = np.asarray(value)
        found = torch_shape(array.shape, row.layout) if array.ndim == len(shapes.get(row.key, array.shape)) else None
        if row.key in shapes and found != shapes[row.key]:
            misshaped.append(("/".join(row.path), array.shape, shapes[row.key]))
        else:
            state_dict[row.key] = np.asarray(reorder(array, row.layout), order="C")
    unexpected = ["/".join(path) for path in flat]
    if missing or unexpected or misshaped:
        raise ConversionError(network_id, missing=missing, unexpected=unexpected, misshaped=misshaped)
    return state_dict


def expected_shapes(network_id: str, **model_args: Any) -> dict[str, tuple[int, ...]]:
    """The keys that a state dict of this network must have, in order, with torch's shapes."""
    rows, shapes = _rows(network_id, model_args)
    return {row.key: shapes[row.key] for row in rows if row.key in shapes}


def as_numpy(value: Any) -> np.ndarray:
    """NumPy's view of a NumPy array, JAX array or torch tensor."""
    if hasattr(value, "detach"):
        tensor = value.detach().cpu()
        if str(tensor.dtype) == "torch.bfloat16":
            return tensor.view(dtype=tensor.new_empty(0).short().dtype).numpy().view(ml_dtypes.bfloat16)
        return tensor.numpy()
    return np.asarray(value)


def _rows(network_id: str, model_args: Mapping[str, Any]) -> tuple[list[KeyRule], dict[str, tuple[int, ...]]]:
    """The rows, and by key the shapes of those that the network uses."""
    # The computation type changes no shape.
    counted = {name: value for name, value in model_args.items() if name != "dtype"}
    return _cached_rows(network_id, json.dumps(counted, sort_keys=True))


@functools.lru_cache(maxsize=64)
def _cached_rows(network_id: str, model_args_json: str) -> tuple[list[KeyRule], dict[str, tuple[int, ...]]]:
    model_args = json.loads(model_args_json)
    rows = key_map(network_id).rows(model_args)
    flat = flatten(variable_shapes(network_id, **model_args))
    shapes = {row.key: torch_shape(flat[row.path].shape, row.layout) for row in rows if row.path[0] != "passthrough"}
    return rows, shapes
