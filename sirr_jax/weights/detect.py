"""Detection of the network that a state dict belongs to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from sirr_jax.models import list_networks
from sirr_jax.weights.convert import as_numpy, expected_shapes
from sirr_jax.weights.errors import ConversionError
from sirr_jax.weights.key_maps import key_map
from sirr_jax.weights.key_maps.base import KeyMap, KeyRule, Shapes
from sirr_jax.weights.readers.checkpoint_unwrap import strip_prefixes

_MAX_LISTED = 3


class Candidate(NamedTuple):
    """Network that a state dict fits.

    Attributes:
        network_id: network id.
        model_args: arguments that differ from the network's defaults.
        part: key prefix, if the state dict is one part of a network in several files.
        extra: keys of the state dict that are not the network's.
    """

    network_id: str
    model_args: dict[str, Any]
    part: str | None
    extra: tuple[str, ...] = ()


def detect(state_dict: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Detects the network that a state dict belongs to.

    Args:
        state_dict: `{key: array}`; NumPy arrays, torch tensors, or anything with a shape. Prefixes that wrappers put
            before all keys are ignored.

    Returns:
        Network id, and the arguments that differ from its defaults, for `build` and `from_torch`.

    Raises:
        ConversionError: No network or several networks fit, or the state dict is one part of a network that is
            published in several files. The message names the nearest networks and their differences.
    """
    shapes = shapes_of(strip_prefixes(state_dict))
    if not shapes:
        raise ConversionError("the state dict is empty; expected {name: tensor}")
    candidates = list(_candidates(shapes))
    complete = [candidate for candidate in candidates if candidate.part is None]
    if len(complete) == 1:
        return complete[0].network_id, complete[0].model_args
    if complete:
        ids = ", ".join(candidate.network_id for candidate in complete)
        raise ConversionError(f"the weights fit several networks: {ids}; name one of them (--network)")
    if candidates:
        parts = " or ".join(f"{c.part!r} of {c.network_id}" for c in candidates)
        raise ConversionError(
            f"these weights are one part ({parts}) of a network that is published in several files; give all of them "
            f"together, with the key prefixes {', '.join(key_map(candidates[0].network_id).parts)}"
        )
    raise ConversionError(f"no known network has these {len(shapes)} weights; {_describe_nearest(shapes)}")


def infer_model_args(network_id: str, state_dict: Mapping[str, Any]) -> dict[str, Any]:
    """Infers the model arguments under which a state dict fits a network.

    Args:
        network_id: network id, see `sirr_jax.list_networks`.
        state_dict: `{key: array}`.

    Returns:
        Arguments that differ from the network's defaults; empty if the state dict does not fit.

    Raises:
        UserError: The id is unknown.
    """
    return _infer_model_args(key_map(network_id), shapes_of(strip_prefixes(state_dict))) or {}


def matching_parts(network_id: str, state_dict: Mapping[str, Any]) -> tuple[str, ...]:
    """Finds the parts of a network in several files that a state dict may be.

    Args:
        network_id: network id, see `sirr_jax.list_networks`.
        state_dict: `{key: array}`.

    Returns:
        Key prefixes of the parts; empty if there are none.

    Raises:
        UserError: The id is unknown.
    """
    shapes = shapes_of(strip_prefixes(state_dict))
    network_map = key_map(network_id)
    return tuple(
        part for part in network_map.parts if _infer_exact_args(network_id, network_map, shapes, part) is not None
    )


def matching_parts_of_all(state_dict: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Finds all networks in several files of which a state dict may be a part.

    Args:
        state_dict: `{key: array}`.

    Returns:
        `{network id: key prefixes of the parts}`.
    """
    shapes = shapes_of(strip_prefixes(state_dict))
    parts: dict[str, tuple[str, ...]] = {}
    for candidate in _candidates(shapes):
        if candidate.part is not None:
            parts[candidate.network_id] = (*parts.get(candidate.network_id, ()), candidate.part)
    return parts


def fitting(state_dict: Mapping[str, Any], network_id: str | None = None) -> list[Candidate]:
    """Lists the networks, or parts of networks, that a state dict fits exactly.

    Args:
        state_dict: `{key: array}`, or anything with a shape.
        network_id: the only network to consider; None for all.
    """
    return list(_candidates(shapes_of(strip_prefixes(state_dict)), network_id))


def fitting_with_extra(state_dict: Mapping[str, Any], network_id: str | None = None) -> list[Candidate]:
    """Lists the networks whose weights a state dict contains beside modules and counters of other names.

    Args:
        state_dict: `{key: array}`, or anything with a shape.
        network_id: the only network to consider; None for all.
    """
    shapes = shapes_of(strip_prefixes(state_dict))
    found = []
    for candidate_id in [network_id] if network_id else list_networks():
        network_map = key_map(candidate_id)
        model_args = _infer_model_args(network_map, shapes)
        if model_args is None:
            continue
        keys = {rule.key for rule in network_map.rules(model_args)}
        extra = tuple(key for key in shapes if key not in keys)
        heads = {key.partition(".")[0] for key in keys}
        # A single array of an unknown name may be part of a variant of the network; a module or a counter is not.
        apart = all(key.partition(".")[0] not in heads and ("." in key or _is_counter(shapes[key])) for key in extra)
        inside = {key: shape for key, shape in shapes.items() if key in keys}
        if extra and apart and _infer_exact_args(candidate_id, network_map, inside, None) is not None:
            found.append(Candidate(candidate_id, model_args, None, extra))
    return found


def _is_counter(shape: tuple[int, ...]) -> bool:
    return all(side == 1 for side in shape)


def _describe_nearest(shapes: Shapes) -> str:
    """Describes the networks that share most keys with a state dict, in one sentence."""
    scores = []
    for network_id in list_networks():
        network_map = key_map(network_id)
        keys = {rule.key for rule in _required(network_map.rules(_infer_model_args(network_map, shapes) or {}))}
        common = keys & shapes.keys()
        if common:
            scores.append(
                (2 * len(common) / (len(keys) + len(shapes)), network_id, keys - common, shapes.keys() - keys)
            )
    if not scores:
        return f"none of the {len(list_networks())} known networks has a key such as {next(iter(shapes))!r}"
    descriptions = []
    for _, network_id, missing, unexpected in sorted(scores, key=lambda score: (-score[0], score[1]))[:_MAX_LISTED]:
        differences = [text for text in (_list_keys(missing, "missing"), _list_keys(unexpected, "unexpected")) if text]
        descriptions.append(f"{network_id} ({'; '.join(differences) or 'same keys, other shapes'})")
    return f"nearest: {'; '.join(descriptions)}"


def shapes_of(state_dict: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Returns `{key: shape}` of the arrays of a state dict."""
    return {
        key: tuple(value.shape) if hasattr(value, "shape") else as_numpy(value).shape
        for key, value in state_dict.items()
    }


def _candidates(shapes: Shapes, only: str | None = None) -> Iterable[Candidate]:
    for network_id in [only] if only else list_networks():
        network_map = key_map(network_id)
        for part in (None, *network_map.parts):
            model_args = _infer_exact_args(network_id, network_map, shapes, part)
            if model_args is not None:
                yield Candidate(network_id, model_args, part)


def _infer_exact_args(network_id: str, network_map: KeyMap, shapes: Shapes, part: str | None) -> dict[str, Any] | None:
    """Infers the arguments under which the state dict fits the network, or its part, exactly; None if it does not."""
    if part is not None:
        shapes = {part + key: shape for key, shape in shapes.items()}
    model_args = _infer_model_args(network_map, shapes)
    if model_args is None:
        return None
    rules = [rule for rule in network_map.rules(model_args) if rule.key.startswith(part or "")]
    # Compare keys first, since shapes require tracing the network.
    if shapes.keys() - {rule.key for rule in rules} or {rule.key for rule in _required(rules)} - shapes.keys():
        return None
    expected = expected_shapes(network_id, **model_args)
    same_shapes = all(shapes[key] == shape for key, shape in expected.items() if key in shapes)
    return model_args if same_shapes else None


def _infer_model_args(network_map: KeyMap, shapes: Shapes) -> dict[str, Any] | None:
    try:
        model_args = network_map.infer_model_args(shapes)
    except (KeyError, IndexError, StopIteration):
        return None
    return None if model_args is None else dict(model_args)


def _required(rules: Iterable[KeyRule]) -> list[KeyRule]:
    return [rule for rule in rules if not rule.optional]


def _list_keys(keys: Iterable[str], title: str) -> str:
    keys = sorted(keys)
    if not keys:
        return ""
    return f"{len(keys)} {title}: {', '.join(keys[:_MAX_LISTED])}{', ...' if len(keys) > _MAX_LISTED else ''}"
