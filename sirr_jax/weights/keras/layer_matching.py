"""Which layer of a Keras file is which layer of a network. EdgeGAN specification, sections 3.1 and 3.2."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sirr_jax.weights.key_maps.edge_gan import KerasLayer, KerasNetwork
from sirr_jax.weights.readers.hdf5_file import H5Array, H5Layer

Shape = tuple[int, ...]

_NAME = re.compile(r"(conv2d_transpose|conv2d|batch_normalization|dense)((?:_[0-9]{1,9})*)")


class Found(NamedTuple):
    """A layer with weights in a file.

    Attributes:
        name: as the file has it.
        kind: its class; "" if it is none that our networks have.
        number: the counter in its name.
        parts: `{"kernel": array, ...}`.
    """

    name: str
    kind: str
    number: int
    parts: dict[str, H5Array]


class KerasModel(NamedTuple):
    """A model in a file.

    Attributes:
        layers: those with weights, in the saved order.
        nested: whether it lies inside another model, so that only the names of its arrays are known. These may carry
            one number more (`conv2d_94_1/kernel:0`), which nothing tells from a counter.
    """

    layers: tuple[Found, ...]
    nested: bool


class Placement(NamedTuple):
    """How a model fits a network.

    Attributes:
        placed: the layers that have a counterpart, in the order of the file.
        missing: layers of the network without one.
        unexpected: names of layers in the file without one.
        nested: see `KerasModel`.
    """

    placed: tuple[tuple[KerasLayer, Found], ...]
    missing: tuple[KerasLayer, ...]
    unexpected: tuple[str, ...]
    nested: bool

    @property
    def complete(self) -> bool:
        """Whether model and network have the same layers."""
        return not self.missing and not self.unexpected

    def conflict(self, network: KerasNetwork) -> str | None:
        """What is wrong with a complete model whose names and saved order tell different layers.

        Shapes would not tell: the gates of a step of the attention net, for example, are all alike.
        """
        for expected, (layer, found) in zip(network.layers, self.placed, strict=True):
            if layer != expected:
                return (
                    f"{found.name} is {layer.name} by its name, but stands where {expected.name} was expected; "
                    "neither names nor order can be trusted"
                )
        for kind in {layer.kind for layer in network.layers} if self.nested else ():
            for (_, before), (_, after) in itertools.pairwise(p for p in self.placed if p[0].kind == kind):
                if after.number < before.number:
                    return f"{after.name} comes after {before.name}; neither names nor order can be trusted"
        return None


def split_models(layers: Iterable[H5Layer]) -> list[KerasModel]:
    """The models in a file: the one whose layers the file lists, if they have weights, and those inside it."""
    own: list[Found] = []
    nested: list[KerasModel] = []
    for layer in layers:
        parents = list(dict.fromkeys(_parent(array) for array in layer.arrays))
        if len(parents) > 1:
            groups = ([a for a in layer.arrays if _parent(a) == parent] for parent in parents)
            inner = (_found(name.rpartition("/")[2], arrays) for name, arrays in zip(parents, groups, strict=True))
            nested.append(KerasModel(tuple(inner), True))
        elif parents:
            own.append(_found(layer.name, layer.arrays))
    return ([KerasModel(tuple(own), False)] if own else []) + nested


def place(network: KerasNetwork, model: KerasModel) -> Placement:
    """Find each layer's counterpart, by relative index; inside another model by position."""
    wanted = {(layer.kind, layer.index): layer for layer in network.layers}
    first: dict[str, int] = {}
    for found in model.layers:
        first[found.kind] = min(found.number, first.get(found.kind, found.number))
    turns = {kind: iter([layer for layer in network.layers if layer.kind == kind]) for kind, _ in wanted}
    placed, unexpected = [], []
    for found in model.layers:
        if model.nested:
            layer = next(turns.get(found.kind, iter(())), None)
        else:
            layer = wanted.pop((found.kind, found.number - first[found.kind]), None)
        if layer is None:
            unexpected.append(found.name)
        else:
            placed.append((layer, found))
    taken = {layer for layer, _ in placed}
    missing = tuple(layer for layer in network.layers if layer not in taken)
    return Placement(tuple(placed), missing, tuple(unexpected), model.nested)


def _parent(array: H5Array) -> str:
    return array.name.rpartition("/")[0]


def _found(name: str, arrays: Sequence[H5Array]) -> Found:
    parts = {array.name.rpartition("/")[2].partition(":")[0]: array for array in arrays}
    known = _NAME.fullmatch(name)
    if known is None:
        return Found(name, "", 0, parts)
    number = known[2].strip("_").partition("_")[0]
    return Found(name, known[1], int(number or 0), parts)
