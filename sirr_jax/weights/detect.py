"""Which network a state dict belongs to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from sirr_jax.models import list_networks
from sirr_jax.weights.convert import as_numpy, expected_shapes
from sirr_jax.weights.errors import ConversionError
from sirr_jax.weights.key_maps import key_map
from sirr_jax.weights.key_maps.base import KeyMap, KeyRule, Shapes
from sirr_jax.weights.readers.checkpoint_unwrap import strip_prefixes

_SHOWN = 3


class _Candidate(NamedTuple):
    network_id: str
    model_args: dict[str, Any]
    part: str | None


def detect(state_dict: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Name the network that a state dict belongs to.

    Args:
        state_dict: `{key: array}`; NumPy arrays, torch tensors, or anything with a shape. Prefixes that wrappers put
            before all keys are overlooked.

    Returns:
        The network id and the arguments that differ from its defaults: what `build` and `from_torch` need.

    Raises:
        ConversionError: if no network fits, or several do, or it is one part of a network that is published in several
            files; names the nearest networks and what they lack.
    """
    shapes = shapes_of(strip_prefixes(state_dict))
    if not shapes:
        raise ConversionError("the state dict is empty; expected {name: tensor}")
    found = list(_candidates(shapes))
    whole = [candidate for candidate in found if candidate.part is None]
    if len(whole) == 1:
        return whole[0].network_id, whole[0].model_args
    if whole:
        fitting = ", ".join(candidate.network_id for candidate in whole)
        raise ConversionError(f"the weights fit several networks: {fitting}; name the one that you mean")
    if found:
        candidates = " or ".join(f"{c.part!r} of {c.network_id}" for c in found)
        raise ConversionError(
            f"these weights are one part ({candidates}) of a network that is published in several files; give them "
            f"together, under the prefixes {', '.join(key_map(found[0].network_id).parts)}"
        )
    raise ConversionError(f"no known network has these {len(shapes)} weights; {nearest(shapes)}")


def infer_model_args(network_id: str, state_dict: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments under which a state dict fits a network; defaults where it does not say.

    Raises:
        UserError: if the id is unknown.
    """
    return _infer_model_args(key_map(network_id), shapes_of(strip_prefixes(state_dict))) or {}


def fitting_part(network_id: str, state_dict: Mapping[str, Any]) -> tuple[str, ...]:
    """The parts (key prefixes) of a network in several files that a state dict may be, by its keys; often none."""
    shapes = shapes_of(strip_prefixes(state_dict))
    mapped = key_map(network_id)
    return tuple(part for part in mapped.parts if _fits(network_id, mapped, shapes, part) is not None)


def parts(state_dict: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """The networks in several files of which a state dict may be a part: `{network id: key prefixes}`."""
    shapes = shapes_of(strip_prefixes(state_dict))
    found: dict[str, tuple[str, ...]] = {}
    for candidate in _candidates(shapes):
        if candidate.part is not None:
            found[candidate.network_id] = (*found.get(candidate.network_id, ()), candidate.part)
    return found


def nearest(shapes: Shapes) -> str:
    """One sentence on the networks that share most keys with a state dict."""
    scores = []
    for network_id in list_networks():
        mapped = key_map(network_id)
        keys = {row.key for row in _required(mapped.rows(_infer_model_args(mapped, shapes) or {}))}
        common = keys & shapes.keys()
        if common:
            scores.append(
                (2 * len(common) / (len(keys) + len(shapes)), network_id, keys - common, shapes.keys() - keys)
            )
    if not scores:
        return f"none of the {len(list_networks())} known networks has a key such as {next(iter(shapes))!r}"
    said = []
    for _, network_id, lacking, extra in sorted(scores, key=lambda score: (-score[0], score[1]))[:_SHOWN]:
        differences = [text for text in (_some("they lack", lacking), _some("they have besides", extra)) if text]
        said.append(f"{network_id} ({'; '.join(differences) or 'the same keys with other shapes'})")
    return f"nearest: {'; '.join(said)}"


def shapes_of(state_dict: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """`{key: shape}`."""
    return {
        key: tuple(value.shape) if hasattr(value, "shape") else as_numpy(value).shape
        for key, value in state_dict.items()
    }


def _candidates(shapes: Shapes) -> Iterable[_Candidate]:
    for network_id in list_networks():
        mapped = key_map(network_id)
        for part in (None, *mapped.parts):
            model_args = _fits(network_id, mapped, shapes, part)
            if model_args is not None:
                yield _Candidate(network_id, model_args, part)


def _fits(network_id: str, mapped: KeyMap, shapes: Shapes, part: str | None) -> dict[str, Any] | None:
    """The arguments under which the state dict is the network, or its part, exactly; None if there are none."""
    if part is not None:
        shapes = {part + key: shape for key, shape in shapes.items()}
    model_args = _infer_model_args(mapped, shapes)
    if model_args is None:
        return None
    rows = [row for row in mapped.rows(model_args) if row.key.startswith(part or "")]
    # Keys first: shapes need a trace of the network.
    if shapes.keys() - {row.key for row in rows} or {row.key for row in _required(rows)} - shapes.keys():
        return None
    expected = expected_shapes(network_id, **model_args)
    same = all(shapes[key] == shape for key, shape in expected.items() if key in shapes)
    return model_args if same else None


def _infer_model_args(mapped: KeyMap, shapes: Shapes) -> dict[str, Any] | None:
    try:
        model_args = mapped.infer_model_args(shapes)
    except (KeyError, IndexError, StopIteration):
        return None
    return None if model_args is None else dict(model_args)


def _required(rows: Iterable[KeyRule]) -> list[KeyRule]:
    return [row for row in rows if not row.optional]


def _some(verb: str, keys: Iterable[str]) -> str:
    keys = sorted(keys)
    if not keys:
        return ""
    shown = ", ".join(keys[:_SHOWN])
    return f"{verb} {len(keys)}: {shown}{', ...' if len(keys) > _SHOWN else ''}"
