"""Finds the networks in a checkpoint, and takes the moving average of their weights where there is one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sirr_jax.weights.detect import Candidate, fitting, fitting_with_extra
from sirr_jax.weights.errors import ConversionError
from sirr_jax.weights.readers.checkpoint_contents import Contents, TensorGroup
from sirr_jax.weights.readers.checkpoint_unwrap import best, join, part_names, select_part, strip_prefixes, subtrees
from sirr_jax.weights.readers.moving_average import complete, is_average_name, match_in_order, similarity

_BACKBONES = ("resnet50", "resnet101", "vgg16", "vgg19")
_MAX_LISTED = 8
_MAX_DEPTH = 5


class FoundNetwork(NamedTuple):
    """Weights in a checkpoint that fit a network.

    Attributes:
        name: full name in the checkpoint; "" for the whole file.
        state_dict: tensors by the network's keys.
        fits: networks that they fit; several are possible.
        average: name of the moving average that they come from; "" for live weights.
        lacking: keys that the average lacks and that come from the live weights.
    """

    name: str
    state_dict: dict[str, Any]
    fits: tuple[Candidate, ...]
    average: str = ""
    lacking: tuple[str, ...] = ()


class Selection(NamedTuple):
    """The weights to convert.

    Attributes:
        state_dicts: name in the checkpoint -> tensors by key.
        facts: sentences for the description of the model file: the weights that were taken.
        remarks: sentences for the user: other contents of the checkpoint.
    """

    state_dicts: dict[str, dict[str, Any]]
    facts: tuple[str, ...]
    remarks: tuple[str, ...]


def choose_networks(contents: Contents, *, network_id: str | None = None, part: str | None = None) -> Selection:
    """Chooses the weights to convert from a checkpoint.

    Args:
        contents: contents of the checkpoint.
        network_id: network id of the weights; None for any.
        part: name of the part to choose, see `sirr_jax.weights.readers.checkpoint_unwrap.select_part`.

    Raises:
        ConversionError: There is no such part, or there are several networks of equal rank.
    """
    scope = select_part(contents, part)
    live = _search((g for g in scope.groups if not g.is_average), network_id)
    # Buffers that an average lacks may lie outside the part that was named.
    sources = live or _search((g for g in contents.groups if not g.is_average), network_id)
    networks, used, ignored = _with_averages(scope, live, sources, network_id)
    if not networks:
        return _unknown(scope)
    chosen = _best(networks)
    facts = [text for network in chosen for text in _describe(network, contents)]
    facts += [f"{text} is ignored" for text in ignored]
    return Selection(
        {network.name or network.average: network.state_dict for network in chosen},
        tuple(dict.fromkeys(facts)),
        tuple(_remarks(contents, chosen, [*networks, *sources], used)),
    )


# --- networks -----------------------------------------------------------------------------------------------------


def _search(groups: Iterable[TensorGroup], network_id: str | None) -> list[FoundNetwork]:
    groups = list(groups)
    found = [network for group in groups for network in _visit(group, network_id, 0, 0)]
    if not found and len(groups) > 1:
        # The parts of one network, each in a dictionary of its own: {"encoder": {...}, "decoder": {...}}.
        merged = {join(group.name, key): tensor for group in groups for key, tensor in group.tensors.items()}
        found = _visit(TensorGroup("", merged), network_id, 0, 0)
    return found


def _visit(group: TensorGroup, network_id: str | None, depth: int, branches: int) -> list[FoundNetwork]:
    """Finds the networks below one name, the outermost ones."""
    tensors = strip_prefixes(group.tensors)
    fits = _allowed(fitting(tensors, network_id), branches)
    if fits:
        return [FoundNetwork(group.name, tensors, fits, group.name if group.is_average else "")]
    children = [tree for tree in subtrees(group, 1) if tree.name != group.name]
    fits = tuple(c for c in fitting_with_extra(tensors, network_id) if c.network_id not in _BACKBONES)
    if fits:
        extra = set(fits[0].extra)
        own = {key: tensor for key, tensor in tensors.items() if key not in extra}
        network = FoundNetwork(group.name, own, fits, group.name if group.is_average else "")
        heads = {key.partition(".")[0] for key in own}
        rest = [child for child in children if child.name.rpartition(".")[2] not in heads]
        return [network, *(x for child in rest for x in _visit(child, network_id, depth + 1, branches + 1))]
    if depth == _MAX_DEPTH:
        return []
    branches += len(children) > 1
    return [network for child in children for network in _visit(child, network_id, depth + 1, branches)]


def _allowed(fits: Sequence[Candidate], branches: int) -> tuple[Candidate, ...]:
    # A backbone deep inside unknown weights is a module of a network, not the network.
    return tuple(c for c in fits if branches <= 1 or c.network_id not in _BACKBONES)


def _best(networks: Sequence[FoundNetwork]) -> list[FoundNetwork]:
    """Selects the networks to convert: restoring ones first, then discriminators, then backbones."""
    rank = min(map(_rank, networks))
    first = [network for network in networks if _rank(network) == rank]
    ids = [network.fits[0].network_id for network in first]
    parts = [(network.fits[0].network_id, tuple(fit.part for fit in network.fits)) for network in first]
    families = {network_id.partition("/")[0] for network_id in ids}
    if len(families) == 1 and (len(set(ids)) == len(ids) or (len(set(ids)) == 1 and all(p[1][0] for p in parts))):
        return first
    remaining = best({network.name or network.average: network for network in first})
    if len(remaining) == 1:
        return list(remaining.values())
    raise ConversionError(
        f"the file contains several state dicts: {', '.join(remaining)}; name one of them "
        f"(--part {next(iter(remaining))})"
    )


def _rank(network: FoundNetwork) -> int:
    ids = [candidate.network_id for candidate in network.fits]
    if all(network_id in _BACKBONES for network_id in ids):
        return 2
    return int(all("discriminator" in network_id for network_id in ids))


# --- moving averages ----------------------------------------------------------------------------------------------


def _with_averages(
    scope: Contents, live: Sequence[FoundNetwork], sources: Sequence[FoundNetwork], network_id: str | None
) -> tuple[list[FoundNetwork], dict[str, str], list[str]]:
    """Replaces live networks by their averages.

    Returns:
        The networks; name of the live weights by that of their average; descriptions of averages that fit nothing.
    """
    averages = [group for group in scope.groups if group.is_average]
    pairs = []
    for i, network in enumerate(sources):
        matches = [match for group in averages if (match := _average_of(network, group)) is not None]
        pairs += [(similarity(x.average, network.name), -len(x.lacking), -i, network, x) for x in matches]
    replaced: dict[str, FoundNetwork] = {}
    used: dict[str, str] = {}
    for _, _, _, network, match in sorted(pairs, key=lambda pair: pair[:3], reverse=True):
        if network.name not in replaced and match.average not in used:
            replaced[network.name], used[match.average] = match, network.name
    ignored = []
    for name, tensors in scope.nameless.items():
        match = next((x for x in (_by_order(n, name, tensors, scope) for n in sources) if x is not None), None)
        if match is None or match.name in replaced:
            ignored.append(f"a moving average without names ({name}, {len(tensors)} tensors), which does not fit,")
        else:
            replaced[match.name], used[name] = match, match.name
    networks = [replaced.get(network.name, network) for network in live]
    if not live:
        networks = [network for name, network in replaced.items()]
    for group in averages:
        if not any(_within(name, group.name) for name in used):
            alone = _visit(group, network_id, 0, 0)
            networks += alone
            used |= {network.average: "" for network in alone}
            if not alone:
                size = f"{group.name}, {len(group.tensors)} tensors"
                ignored.append(f"a moving average ({size}), which fits no network in the file,")
    for name, class_name in scope.pickled.items():
        if any(map(is_average_name, name.split("."))):
            ignored.append(f"a moving average ({name}), which is a pickled object of the class {class_name},")
    return networks, used, ignored


def _average_of(network: FoundNetwork, group: TensorGroup) -> FoundNetwork | None:
    """Returns the average of a network's weights from a group, completed by the live weights."""
    known = {*network.state_dict, *(key.replace(".", "") for key in network.state_dict)}
    for tree in subtrees(group):
        tensors = strip_prefixes(tree.tensors)
        # Averages have counters and rates of their own.
        tensors = {k: x for k, x in tensors.items() if k in known or "." in k or any(side != 1 for side in x.shape)}
        if (whole := complete(tensors, network.state_dict)) is not None:
            taken = {id(x) for x in tree.tensors.values()}
            return network._replace(
                state_dict=whole, average=tree.name, lacking=tuple(k for k, x in whole.items() if id(x) not in taken)
            )
    return None


def _by_order(network: FoundNetwork, name: str, tensors: tuple[Any, ...], scope: Contents) -> FoundNetwork | None:
    """Returns the average of a network's weights from a list of tensors: of the network, or of its whole group."""
    named = match_in_order(tensors, network.state_dict)
    if named is None:
        keys = {id(x): key for key, x in network.state_dict.items()}
        for group in scope.groups:
            whole = match_in_order(tensors, group.tensors) or {}
            inside = {keys[id(group.tensors[k])]: x for k, x in whole.items() if id(group.tensors[k]) in keys}
            named = named or inside or None
    if named is None:
        return None
    state_dict = {key: named.get(key, tensor) for key, tensor in network.state_dict.items()}
    return network._replace(
        state_dict=state_dict, average=name, lacking=tuple(key for key in state_dict if key not in named)
    )


# --- descriptions -------------------------------------------------------------------------------------------------


def _describe(network: FoundNetwork, contents: Contents) -> list[str]:
    """Describes which weights of the checkpoint were taken; nothing where there is no choice."""
    if network.average:
        other = f", not the live ones ({network.name or 'without a name'})" if network.average != network.name else ""
        order = (
            ", a list that names no weights and was matched in order" if network.average in contents.nameless else ""
        )
        facts = [f"weights: the moving average {network.average}{order}{other}"]
        if network.lacking:
            facts.append(
                f"{network.average} lacks {len(network.lacking)} of {len(network.state_dict)} arrays "
                f"({_listing(network.lacking, 2)}), which are the live ones"
            )
        return facts
    averages = [group.name for group in contents.groups if group.is_average] + list(contents.nameless)
    if averages:
        return [f"weights: the live ones ({network.name or 'without a name'}), not a moving average"]
    return []


def _remarks(
    contents: Contents, chosen: Sequence[FoundNetwork], found: Sequence[FoundNetwork], used: Mapping[str, str]
) -> list[str]:
    """Lists what was not taken: networks by their names, other tensors by the first component of their keys."""
    taken = {id(tensor) for network in chosen for tensor in network.state_dict.values()}
    owners = {
        id(tensor): f"{network.average or network.name or 'live weights'}: {network.fits[0].network_id}"
        for network in found
        for tensor in network.state_dict.values()
    }
    # Live networks come last: an average that was completed by live weights does not own these.
    rest: dict[str, int] = {}
    for group in contents.groups:
        left = [key for key, tensor in group.tensors.items() if id(tensor) not in taken]
        heads = {key.partition(".")[0] for key in left}
        for key in left:
            by_head = group.name if len(heads) > _MAX_LISTED and group.name else join(group.name, key.partition(".")[0])
            name = owners.get(id(group.tensors[key]), by_head)
            rest[name] = rest.get(name, 0) + 1
    names = [f"{name} ({count} tensors)" if count > 1 else name for name, count in rest.items()]
    names += [f"{name} ({len(x)} tensors)" for name, x in contents.nameless.items() if name not in used]
    names += [f"{name} (pickled {class_name})" for name, class_name in contents.pickled.items() if "." not in name]
    names += [name for name in contents.others if name not in contents.pickled]
    return [f"also in the file, not converted: {_listing(names, _MAX_LISTED)}"] if names else []


def _listing(names: Sequence[str], most: int) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _within(name: str, outer: str) -> bool:
    return f"{name}.".startswith(f"{outer}.")


def _unknown(scope: Contents) -> Selection:
    """Returns the weights under the usual name, of which the caller reports that they fit no network."""
    live = {group.name: group.tensors for group in scope.groups if not group.is_average}
    groups = best(live or {group.name: group.tensors for group in scope.groups})
    if len(groups) > 1:
        raise ConversionError(
            f"the file contains several state dicts: {', '.join(part_names(scope))}; name one of them "
            f"(--part {next(iter(groups))})"
        )
    return Selection({name: strip_prefixes(tensors) for name, tensors in groups.items()}, (), ())
