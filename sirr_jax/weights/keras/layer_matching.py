"""Matches layers of Keras files to layers of a network. EdgeGAN specification, sections 3.1 and 3.2."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sirr_jax.weights.key_maps.edge_gan import KerasLayer, KerasNetwork
from sirr_jax.weights.readers.hdf5_file import H5Array, H5Layer

Shape = tuple[int, ...]

_NAME = re.compile(r"(conv2d_transpose|conv2d|batch_normalization|dense)((?:_[0-9]{1,9})*)")


class FileLayer(NamedTuple):
    """Layer with weights in a file.

    Attributes:
        name: name in the file.
        class_name: Keras class; "" if the networks of sirr_jax have no layers of this class.
        number: counter in the name.
        arrays: `{"kernel": array, ...}`.
    """

    name: str
    class_name: str
    number: int
    arrays: dict[str, H5Array]


class KerasModel(NamedTuple):
    """Model in a file.

    Attributes:
        layers: layers with weights, in the saved order.
        nested: whether the model is inside another model, so that only the names of its arrays are known. These may
            have one more number (`conv2d_94_1/kernel:0`), which cannot be distinguished from a counter.
    """

    layers: tuple[FileLayer, ...]
    nested: bool


class LayerMatch(NamedTuple):
    """Correspondence between the layers of a network and those of a model.

    Attributes:
        pairs: layers that have a counterpart, in the order of the file.
        missing: layers of the network without a counterpart.
        unexpected: names of layers in the file without a counterpart.
        nested: see `KerasModel`.
    """

    pairs: tuple[tuple[KerasLayer, FileLayer], ...]
    missing: tuple[KerasLayer, ...]
    unexpected: tuple[str, ...]
    nested: bool

    @property
    def is_complete(self) -> bool:
        """Whether model and network have the same layers."""
        return not self.missing and not self.unexpected

    def find_conflict(self, network: KerasNetwork) -> str | None:
        """Finds contradictions between the names and the saved order of the layers in a complete model.

        Shapes do not reveal them: all gates of a step of the attention net, for example, have the same shape.

        Args:
            network: network to which the model was matched.

        Returns:
            Description of the first contradiction; None if there is none.
        """
        for expected, (layer, file_layer) in zip(network.layers, self.pairs, strict=True):
            if layer != expected:
                return (
                    f"{file_layer.name} is {layer.name} by its name, but is stored where {expected.name} was expected; "
                    "neither names nor order can be trusted"
                )
        for class_name in {layer.class_name for layer in network.layers} if self.nested else ():
            same_class = (file_layer for layer, file_layer in self.pairs if layer.class_name == class_name)
            for before, after in itertools.pairwise(same_class):
                if after.number < before.number:
                    return f"{after.name} comes after {before.name}; neither names nor order can be trusted"
        return None


def split_models(layers: Iterable[H5Layer]) -> list[KerasModel]:
    """Splits a file into models.

    Args:
        layers: layers of the file.

    Returns:
        The model of the layers that the file lists, if they have weights, followed by the models inside it.
    """
    direct: list[FileLayer] = []
    nested: list[KerasModel] = []
    for layer in layers:
        parents = list(dict.fromkeys(_parent(array) for array in layer.arrays))
        if len(parents) > 1:
            groups = ([a for a in layer.arrays if _parent(a) == parent] for parent in parents)
            nested_layers = (
                _parse_layer(name.rpartition("/")[2], arrays) for name, arrays in zip(parents, groups, strict=True)
            )
            nested.append(KerasModel(tuple(nested_layers), True))
        elif parents:
            direct.append(_parse_layer(layer.name, layer.arrays))
    return ([KerasModel(tuple(direct), False)] if direct else []) + nested


def match_layers(network: KerasNetwork, model: KerasModel) -> LayerMatch:
    """Matches layers by class and relative index, or inside another model by class and order.

    Args:
        network: network with the expected layers.
        model: model in a file.
    """
    by_index: dict[tuple[str, int], KerasLayer] = {}
    by_order: dict[str, list[KerasLayer]] = {}
    for layer in network.layers:
        by_index[layer.class_name, layer.relative_index] = layer
        by_order.setdefault(layer.class_name, []).append(layer)
    first: dict[str, int] = {}
    for file_layer in model.layers:
        first[file_layer.class_name] = min(file_layer.number, first.get(file_layer.class_name, file_layer.number))
    pairs: list[tuple[KerasLayer, FileLayer]] = []
    unexpected: list[str] = []
    for file_layer in model.layers:
        if model.nested:
            same_class = by_order.get(file_layer.class_name)
            match = same_class.pop(0) if same_class else None
        else:
            match = by_index.pop((file_layer.class_name, file_layer.number - first[file_layer.class_name]), None)
        if match is None:
            unexpected.append(file_layer.name)
        else:
            pairs.append((match, file_layer))
    matched = {layer for layer, _ in pairs}
    missing = tuple(layer for layer in network.layers if layer not in matched)
    return LayerMatch(tuple(pairs), missing, tuple(unexpected), model.nested)


def _parent(array: H5Array) -> str:
    return array.name.rpartition("/")[0]


def _parse_layer(name: str, arrays: Sequence[H5Array]) -> FileLayer:
    by_name = {array.name.rpartition("/")[2].partition(":")[0]: array for array in arrays}
    match = _NAME.fullmatch(name)
    if match is None:
        return FileLayer(name, "", 0, by_name)
    number = match[2].strip("_").partition("_")[0]
    return FileLayer(name, match[1], int(number or 0), by_name)
