"""State dicts from several files, sorted by the networks that they belong to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sirr_jax.weights.detect import detect, fitting_part, infer_model_args, parts
from sirr_jax.weights.errors import ConversionError
from sirr_jax.weights.key_maps import key_map


class Assembled(NamedTuple):
    """A whole network.

    Attributes:
        network_id: which.
        model_args: the arguments that differ from its defaults.
        state_dict: its weights, under the prefixes of its parts where it has such.
        sources: names of the files that they come from.
    """

    network_id: str
    model_args: dict[str, Any]
    state_dict: dict[str, Any]
    sources: tuple[str, ...]


def assemble(
    state_dicts: Sequence[tuple[str, Mapping[str, Any]]], network_id: str | None = None
) -> tuple[Assembled, ...]:
    """Tell the networks of state dicts, and put the parts of those together that are published in several files.

    Args:
        state_dicts: `(file name, state dict)`.
        network_id: what they all are; None to detect it from each.

    Raises:
        ConversionError: if a state dict fits no network, or a part is missing, or it cannot be told which it is.
    """
    whole: list[Assembled] = []
    pending: dict[str, list[tuple[str, tuple[str, ...], Mapping[str, Any]]]] = {}
    for name, state_dict in state_dicts:
        candidates = {network_id: fitting_part(network_id, state_dict)} if network_id else parts(state_dict)
        candidates = {candidate: fitting for candidate, fitting in candidates.items() if fitting}
        if len(candidates) == 1:
            ((candidate, fitting),) = candidates.items()
            pending.setdefault(candidate, []).append((name, fitting, state_dict))
        elif network_id:
            whole.append(Assembled(network_id, infer_model_args(network_id, state_dict), dict(state_dict), (name,)))
        else:
            try:
                whole.append(Assembled(*detect(state_dict), dict(state_dict), (name,)))
            except ConversionError as error:
                raise error.about(name) from error
    return (*whole, *(_join(candidate, files) for candidate, files in pending.items()))


def _join(network_id: str, files: list[tuple[str, tuple[str, ...], Mapping[str, Any]]]) -> Assembled:
    wanted = key_map(network_id).parts
    assigned: dict[str, tuple[str, Mapping[str, Any]]] = {}
    for name, fitting, state_dict in files:
        named = [part for part in fitting if part.strip(".").lower() in name.lower()]
        if len(fitting) > 1 and len(named) != 1:
            raise ConversionError(
                f"{name} may be any of the parts {', '.join(fitting)} of {network_id}; "
                f"name the file after its part, for example {fitting[0]}pth"
            )
        part = named[0] if len(fitting) > 1 else fitting[0]
        if part in assigned:
            raise ConversionError(f"{assigned[part][0]} and {name} are both the part {part} of {network_id}; give one")
        assigned[part] = (name, state_dict)
    if missing := [part for part in wanted if part not in assigned]:
        raise ConversionError(
            f"{', '.join(name for name, _, _ in files)}: {network_id} is published in {len(wanted)} files; "
            f"{', '.join(missing)} is missing: give all of them"
        )
    merged = {part + key: value for part in wanted for key, value in assigned[part][1].items()}
    names = tuple(assigned[part][0] for part in wanted)
    return Assembled(network_id, infer_model_args(network_id, merged), merged, names)
