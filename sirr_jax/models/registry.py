"""The networks by id. Each network's file registers the network with its own facts."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from flax import linen as nn

from sirr_jax.errors import UserError
from sirr_jax.models.pretrained_info import SELF_TRAINED, PretrainedInfo
from sirr_jax.models.restore_spec import Restoration, RestoreSpec
from sirr_jax.models.segment_spec import Segment
from sirr_jax.registry import Registry

N = TypeVar("N", bound=type[nn.Module])


class NetworkInfo(NamedTuple):
    """Facts about a network that are known without building it.

    Attributes:
        network: class of the module.
        year: year of publication.
        verified: reference with which its forward pass was compared.
        source: provenance of the published weights.
        restore: inference function of its system, if this is the network that restores; None otherwise.
        segment: inference function of a network that segments photographs; None otherwise.
    """

    network: type[nn.Module]
    year: int
    verified: str
    source: PretrainedInfo = SELF_TRAINED
    restore: Restoration | None = None
    segment: Segment | None = None


NETWORKS: Registry[NetworkInfo] = Registry("network", "models")
"""All networks by id: `SYSTEM/ROLE`, or one name for networks that belong to no system."""


def register(
    network_id: str,
    *,
    year: int,
    verified: str,
    source: PretrainedInfo = SELF_TRAINED,
    restore: RestoreSpec | Restoration | None = None,
    segment: Segment | None = None,
) -> Callable[[N], N]:
    """Returns a class decorator that registers a network.

    Args:
        network_id: id, `SYSTEM/ROLE`.
        year: year of publication.
        verified: reference with which its forward pass was compared.
        source: provenance of the published weights.
        restore: for the network of a system that restores photographs: a specification, or a `Restoration` where the
            system has several networks or returns maps of its own.
        segment: for networks that segment photographs: preparation of the image and conversion of the logits.

    Raises:
        ValueError: Another network has this id.
    """

    def decorate(network: N) -> N:
        restoration = restore
        if isinstance(restoration, RestoreSpec):
            restoration = restoration.restoration(network_id.split("/")[-1])
        NETWORKS.add(network_id, NetworkInfo(network, year, verified, source, restoration, segment))
        return network

    return decorate


def list_networks() -> tuple[str, ...]:
    """Returns the ids of all networks, sorted."""
    return NETWORKS.names()


def pretrained_info(network_id: str) -> PretrainedInfo:
    """Returns the provenance of a network's published weights; `SELF_TRAINED` where nobody published any.

    Args:
        network_id: id of the network.

    Raises:
        UserError: The id is unknown.
    """
    return NETWORKS.find(network_id).source


def build(network_id: str, **model_args: Any) -> nn.Module:
    """Builds the Flax module of a network.

    Args:
        network_id: id of the network, one of `list_networks()`.
        **model_args: arguments of the module, for example `width="small"`.

    Returns:
        A `flax.linen.Module`; `module.apply(variables, *inputs, train=False)` returns a dict of arrays.

    Raises:
        UserError: The id is unknown, or a model argument is unknown or has an invalid value.
    """
    network = NETWORKS.find(network_id).network
    known = [name for name in inspect.signature(network).parameters if name not in ("parent", "name")]
    for name in model_args:
        if name not in known:
            raise UserError(f"{network_id} has no argument {name!r}; it takes {', '.join(known)}")
    # Files contain lists, but attributes of a module must be hashable.
    return network(**{name: tuple(value) if isinstance(value, list) else value for name, value in model_args.items()})


def get_restoration(system: str) -> Restoration:
    """Returns the inference function of a system.

    Args:
        system: name of the system, the first part of its networks' ids.

    Raises:
        UserError: No system of that name restores photographs.
    """
    for info in NETWORKS.below(system).values():
        if info.restore is not None:
            return info.restore
    known = sorted(name.split("/")[0] for name, info in NETWORKS.items() if info.restore is not None)
    raise UserError(f"{system} does not restore photographs by itself; systems that do: {', '.join(known)}")
