"""Sorts state dicts from several files by the networks that they belong to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sirr_jax.weights.detect import detect, infer_model_args, matching_parts, matching_parts_of_all
from sirr_jax.weights.errors import ConversionError
from sirr_jax.weights.key_maps import key_map


class AssembledNetwork(NamedTuple):
    """Complete state dict of one network.

    Attributes:
        network_id: network id.
        model_args: arguments that differ from the network's defaults.
        state_dict: weights; keys of a network in several files have the prefixes of its parts.
        sources: names of the files that the weights come from.
    """

    network_id: str
    model_args: dict[str, Any]
    state_dict: dict[str, Any]
    sources: tuple[str, ...]


def assemble(
    state_dicts: Sequence[tuple[str, Mapping[str, Any]]], network_id: str | None = None
) -> tuple[AssembledNetwork, ...]:
    """Detects the networks of state dicts and merges the parts of networks that are published in several files.

    Args:
        state_dicts: `(file name, state dict)` pairs.
        network_id: network id of all of them; None to detect it for each.

    Returns:
        The networks: first those in one file, then the merged ones.

    Raises:
        ConversionError: A state dict fits no network, a part is missing or its role is ambiguous.
        UserError: The id is unknown.
    """
    complete: list[AssembledNetwork] = []
    pending: dict[str, list[tuple[str, tuple[str, ...], Mapping[str, Any]]]] = {}
    for name, state_dict in state_dicts:
        candidates = (
            {network_id: matching_parts(network_id, state_dict)} if network_id else matching_parts_of_all(state_dict)
        )
        candidates = {candidate: parts for candidate, parts in candidates.items() if parts}
        if len(candidates) == 1:
            ((candidate, parts),) = candidates.items()
            pending.setdefault(candidate, []).append((name, parts, state_dict))
        elif network_id:
            complete.append(
                AssembledNetwork(network_id, infer_model_args(network_id, state_dict), dict(state_dict), (name,))
            )
        else:
            try:
                complete.append(AssembledNetwork(*detect(state_dict), dict(state_dict), (name,)))
            except ConversionError as error:
                raise error.about(name) from error
    return (*complete, *(_merge_parts(candidate, files) for candidate, files in pending.items()))


def _merge_parts(network_id: str, files: list[tuple[str, tuple[str, ...], Mapping[str, Any]]]) -> AssembledNetwork:
    parts = key_map(network_id).parts
    assigned: dict[str, tuple[str, Mapping[str, Any]]] = {}
    for name, candidates, state_dict in files:
        in_name = [part for part in candidates if part.strip(".").lower() in name.lower()]
        if len(candidates) > 1 and len(in_name) != 1:
            raise ConversionError(
                f"{name} may be any of the parts {', '.join(candidates)} of {network_id}; "
                f"put the part into the file name, for example {candidates[0]}pth"
            )
        part = in_name[0] if len(candidates) > 1 else candidates[0]
        if part in assigned:
            raise ConversionError(
                f"{assigned[part][0]} and {name} are both the part {part} of {network_id}; give one of them"
            )
        assigned[part] = (name, state_dict)
    if missing := [part for part in parts if part not in assigned]:
        raise ConversionError(
            f"{', '.join(name for name, _, _ in files)}: {network_id} is published in {len(parts)} files; "
            f"{', '.join(missing)} is missing; give all of them"
        )
    merged = {part + key: value for part in parts for key, value in assigned[part][1].items()}
    names = tuple(assigned[part][0] for part in parts)
    return AssembledNetwork(network_id, infer_model_args(network_id, merged), merged, names)
