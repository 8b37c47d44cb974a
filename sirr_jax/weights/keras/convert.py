"""Keras's `.h5` files <-> variables: EdgeGAN's networks both ways, VGG from `keras.applications`.

Layouts: weights only (`edgeMap.h5`, `attentionMap.h5`), full models (`generator.h5`, `discriminator.h5`), and the
`combined.h5` of a generator and a discriminator, models inside a model. No model is rebuilt and nothing from the file
is executed. EdgeGAN specification, section 3.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sirr_jax.errors import UserError
from sirr_jax.models import list_networks
from sirr_jax.weights.errors import ConversionError
from sirr_jax.weights.keras.layer_matching import KerasModel, Shape, place, split_models
from sirr_jax.weights.keras.vgg import VGG_IDS, detect_keras_vgg, read_keras_vgg
from sirr_jax.weights.key_maps.edge_gan import KERAS, PARTS, KerasLayer, KerasNetwork
from sirr_jax.weights.readers.hdf5_file import read_h5, require_h5py
from sirr_jax.weights.variables import flatten, variable_shapes

# What the shapes in a file can tell; the first that fits counts.
_WIDTHS: tuple[dict[str, Any], ...] = ({}, {"width": "tiny"})
_HEADS: tuple[dict[str, Any], ...] = ({}, {"head": "gap"})


def from_keras(network_id: str, path: str | Path, **model_args: Any) -> dict[str, Any]:
    """A Keras file as a network's variables.

    Layers are told by their relative index, which must agree with the order in which the file lists them. Of the
    networks in a `combined.h5` the one that is asked for is taken; where it differs from `generator.h5`, it is the one
    that was trained last.

    Args:
        network_id: one of `edge_gan/...`, "vgg16", "vgg19".
        path: the file.
        **model_args: the arguments for `sirr_jax.build`.

    Returns:
        `{"params": ..., "batch_stats": ...}`, as far as the network has them: nested dicts of float32 NumPy arrays.

    Raises:
        ConversionError: if the file is unreadable, holds another network, or lists every array that is missing,
            unexpected or mis-shaped.
        UserError: if the network has no Keras layout, or h5py is not installed.
    """
    if network_id in VGG_IDS:
        return read_keras_vgg(network_id, path, **model_args)
    network = _published(network_id, model_args)
    models = split_models(read_h5(path, ".*"))
    model = _choose(network_id, network, models, path)
    _check(network_id, network, model, path, model_args)
    variables: dict[str, Any] = {}
    for layer, found in place(network, model).placed:
        for part in PARTS[layer.kind]:
            *parents, leaf = layer.variable(part)
            node = variables
            for parent in parents:
                node = node.setdefault(parent, {})
            node[leaf] = _reordered(layer, part, found.parts[part].numbers(path))
    return variables


def detect_keras(path: str | Path) -> tuple[str, dict[str, Any]]:
    """Name the network in a Keras file.

    Returns:
        The network id and the arguments that differ from its defaults. A `combined.h5` counts as its generator.

    Raises:
        ConversionError: if the file is unreadable or holds no network that is known here.
        UserError: if h5py is not installed.
    """
    layers = read_h5(path)
    if vgg := detect_keras_vgg(path, layers):
        return vgg
    models = split_models(layers)
    for network_id in ("edge_gan/generator", *KERAS):
        for model in models:
            if place(KERAS[network_id], model).complete:
                return network_id, _infer_model_args(network_id, model, path)
    names = [layer.name for layer in layers if layer.arrays]
    shown = f"its layers with weights: {', '.join(names[:3])}{', ...' if len(names) > 3 else ''}"
    raise ConversionError(f"{path} holds no known network ({shown if names else 'no weights'}); {_KNOWN}")


def to_keras(
    network_id: str, variables: Mapping[str, Any], path: str | Path, *, overwrite: bool = False, **model_args: Any
) -> None:
    """Write a weights-only file that the original script's `load_weights` takes; the opposite of `from_keras`.

    Layers have the names of a process that built the four networks in their order, and come in the saved order.

    Args:
        network_id: one of `edge_gan/...`.
        variables: what `from_keras`, `from_torch` or `module.init` returned, trained or not; written as float32.
        path: the file, `.h5`.
        overwrite: replace an existing file.
        **model_args: the arguments for `sirr_jax.build`.

    Raises:
        ConversionError: if variables are missing, unexpected or mis-shaped; named by their paths.
        UserError: if the network has no Keras layout, the file exists and `overwrite` is False, it cannot be written,
            or h5py is not installed.
    """
    path = Path(path)
    if network_id in VGG_IDS:
        raise UserError(f"{network_id} is not written as Keras files; write .pth or .safetensors")
    network = _published(network_id, model_args)
    if path.exists() and not overwrite:
        raise UserError(f"{path} exists; choose another name or ask to overwrite it")
    require_h5py(path)
    arrays = _arrays(network_id, network, variables, model_args)
    partial = path.with_name(path.name + ".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            _write(partial, network, arrays)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error}); check the folder and the space on its disk") from error


_KNOWN = f"Keras files are known of {', '.join((*KERAS, *VGG_IDS))}"


def _published(network_id: str, model_args: Mapping[str, Any]) -> KerasNetwork:
    if network_id not in KERAS:
        if network_id not in list_networks():
            raise UserError(f"no network is called {network_id!r}; `sirr models` lists the ids")
        raise UserError(f"{network_id} has no Keras layout; {_KNOWN}")
    if model_args.get("variant", "released") != "released":
        raise UserError(f"{network_id} has a Keras layout as variant='released' only; write .pth or .safetensors")
    return KERAS[network_id]


def _choose(network_id: str, network: KerasNetwork, models: list[KerasModel], path: str | Path) -> KerasModel:
    """The model in the file that is this network, or the one that is nearest to it."""
    for model in models:
        if place(network, model).complete:
            return model
    others = [name for name in KERAS for model in models if place(KERAS[name], model).complete]
    if others:
        raise ConversionError(f"{path} holds {' and '.join(others)}, not {network_id}")
    if not models:
        raise ConversionError(f"{path} holds no weights")
    return max(models, key=lambda model: len(place(network, model).placed))


def _check(
    network_id: str, network: KerasNetwork, model: KerasModel, path: str | Path, model_args: Mapping[str, Any]
) -> None:
    """Raise a list of all that does not fit."""
    placement = place(network, model)
    missing = [f"{layer.name}/{part}" for layer in placement.missing for part in PARTS[layer.kind]]
    unexpected = [*placement.unexpected]
    for layer, found in placement.placed:
        missing += [f"{layer.name}/{part}" for part in PARTS[layer.kind] if part not in found.parts]
        unexpected += [f"{found.name}/{part}" for part in found.parts if part not in PARTS[layer.kind]]
    misshaped = _misshaped(network_id, model, model_args)
    if missing or unexpected or misshaped:
        raise ConversionError(network_id, missing=missing, unexpected=unexpected, misshaped=misshaped).about(path)
    if conflict := placement.conflict(network):
        raise ConversionError(f"{path}: {conflict}")


def _misshaped(network_id: str, model: KerasModel, model_args: Mapping[str, Any]) -> list[tuple[str, Shape, Shape]]:
    shapes = {at: leaf.shape for at, leaf in flatten(variable_shapes(network_id, **model_args)).items()}
    wrong = []
    for layer, found in place(KERAS[network_id], model).placed:
        for part in (part for part in PARTS[layer.kind] if part in found.parts):
            shape, expected = found.parts[part].shape, _keras_shape(layer, part, shapes[layer.variable(part)])
            if shape != expected:
                wrong.append((f"{layer.name}/{part} ({found.name})", shape, expected))
    return wrong


def _infer_model_args(network_id: str, model: KerasModel, path: str | Path) -> dict[str, Any]:
    """The first arguments under which all shapes fit."""
    heads = _HEADS if network_id == "edge_gan/discriminator" else ({},)
    nearest: list[tuple[str, Shape, Shape]] | None = None
    for model_args in (width | head for width in _WIDTHS for head in heads):
        wrong = _misshaped(network_id, model, model_args)
        if not wrong:
            return model_args
        nearest = wrong if nearest is None else min(nearest, wrong, key=len)
    raise ConversionError(network_id, misshaped=nearest or ()).about(path)


def _reordered(layer: KerasLayer, part: str, array: np.ndarray) -> np.ndarray:
    """Keras stores transposed kernels as (height, width, out, in), the network (height, width, in, out); both ways."""
    return array.swapaxes(2, 3) if layer.kind == "conv2d_transpose" and part == "kernel" else array


def _keras_shape(layer: KerasLayer, part: str, shape: Shape) -> Shape:
    return _reordered(layer, part, np.empty(shape, np.void)).shape


def _arrays(
    network_id: str, network: KerasNetwork, variables: Mapping[str, Any], model_args: Mapping[str, Any]
) -> dict[tuple[KerasLayer, str], np.ndarray]:
    """The arrays of each layer, as Keras stores them."""
    shapes = {at: leaf.shape for at, leaf in flatten(variable_shapes(network_id, **model_args)).items()}
    flat = {at: np.asarray(value) for at, value in flatten(variables).items()}
    missing = ["/".join(at) for at in shapes if at not in flat]
    unexpected = ["/".join(at) for at in flat if at not in shapes]
    misshaped = [("/".join(at), a.shape, shapes[at]) for at, a in flat.items() if a.shape != shapes.get(at, a.shape)]
    if missing or unexpected or misshaped:
        raise ConversionError(network_id, missing=missing, unexpected=unexpected, misshaped=misshaped)
    return {
        (layer, part): _reordered(layer, part, flat[layer.variable(part)].astype(np.float32))
        for layer in network.layers
        for part in PARTS[layer.kind]
    }


def _write(path: Path, network: KerasNetwork, arrays: Mapping[tuple[KerasLayer, str], np.ndarray]) -> None:
    import h5py

    # The oldest format, as the h5py beside TensorFlow 1.12 wrote it.
    with h5py.File(path, "w", libver="earliest") as file:
        # Arrays of bytes become strings of fixed length, which every h5py gives back as bytes.
        file.attrs["layer_names"] = np.array([network.fresh_name(layer) for layer in network.layers], "S")
        file.attrs["backend"] = np.bytes_("tensorflow")
        file.attrs["keras_version"] = np.bytes_("2.1.6-tf")
        for layer in network.layers:
            group = file.create_group(network.fresh_name(layer))
            names = {part: f"{network.fresh_name(layer)}/{part}:0" for part in PARTS[layer.kind]}
            group.attrs["weight_names"] = np.array([*names.values()], "S")
            for part, name in names.items():
                group.create_dataset(name, data=arrays[layer, part])
