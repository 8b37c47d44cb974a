"""Conversion of Keras `.h5` files: EdgeGAN's networks in both directions, VGG from `keras.applications`.

Layouts: weights only (`edgeMap.h5`, `attentionMap.h5`), full models (`generator.h5`, `discriminator.h5`), and
`combined.h5`, a model that contains a generator and a discriminator. No Keras model is rebuilt and nothing in the file
is executed. EdgeGAN specification, section 3.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sirr_jax.errors import UserError
from sirr_jax.models import list_networks
from sirr_jax.temporary_paths import new_file
from sirr_jax.weights.errors import ConversionError
from sirr_jax.weights.keras.layer_matching import KerasModel, Shape, match_layers, split_models
from sirr_jax.weights.keras.vgg import VGG_IDS, detect_keras_vgg, read_keras_vgg
from sirr_jax.weights.key_maps.edge_gan import KERAS_NETWORKS, LAYER_ARRAYS, KerasLayer, KerasNetwork
from sirr_jax.weights.readers.hdf5_file import read_h5, require_h5py
from sirr_jax.weights.variables import flatten, variable_shapes

# Candidates for the arguments that shapes determine; the first that fits is used.
_WIDTHS: tuple[dict[str, Any], ...] = ({}, {"width": "small"}, {"width": "tiny"})
_HEADS: tuple[dict[str, Any], ...] = ({}, {"head": "gap"})


def from_keras(network_id: str, path: str | Path, **model_args: Any) -> dict[str, Any]:
    """Converts a Keras file to the variables of a network.

    Layers are identified by their relative index, which must agree with the order in which the file lists them. From
    `combined.h5` the requested network is read; where its generator differs from `generator.h5`, it is the one that was
    trained last.

    Args:
        network_id: one of `edge_gan/...`, "vgg16", "vgg19".
        path: `.h5` file.
        **model_args: arguments for `sirr_jax.build`.

    Returns:
        `{"params": ..., "batch_stats": ...}`, as far as the network has them: nested dicts of float32 NumPy arrays.

    Raises:
        ConversionError: The file is unreadable or contains another network, or arrays are missing, unexpected or have
            wrong shapes; the message lists all of them.
        UserError: The network has no Keras layout, or h5py is not installed.
    """
    if network_id in VGG_IDS:
        return read_keras_vgg(network_id, path, **model_args)
    network = _get_network(network_id, model_args)
    models = split_models(read_h5(path, ".*"))
    model = _select_model(network_id, network, models, path)
    _check(network_id, network, model, path, model_args)
    variables: dict[str, Any] = {}
    for layer, file_layer in match_layers(network, model).pairs:
        for array in LAYER_ARRAYS[layer.class_name]:
            *parents, leaf = layer.variable(array)
            node = variables
            for parent in parents:
                node = node.setdefault(parent, {})
            node[leaf] = _swap_channels(layer, array, file_layer.arrays[array].require_values(path))
    return variables


def detect_keras(path: str | Path) -> tuple[str, dict[str, Any]]:
    """Detects the network in a Keras file.

    Args:
        path: `.h5` file.

    Returns:
        Network id, and the arguments that differ from its defaults. For a `combined.h5` those of its generator.

    Raises:
        ConversionError: The file is unreadable or contains no known network.
        UserError: h5py is not installed.
    """
    layers = read_h5(path)
    if vgg := detect_keras_vgg(path, layers):
        return vgg
    models = split_models(layers)
    for network_id in ("edge_gan/generator", *KERAS_NETWORKS):
        for model in models:
            if match_layers(KERAS_NETWORKS[network_id], model).is_complete:
                return network_id, _infer_model_args(network_id, model, path)
    names = [layer.name for layer in layers if layer.arrays]
    listing = f"its layers with weights: {', '.join(names[:3])}{', ...' if len(names) > 3 else ''}"
    raise ConversionError(f"{path} contains no known network ({listing if names else 'no weights'}); {_SUPPORTED}")


def to_keras(
    network_id: str, variables: Mapping[str, Any], path: str | Path, *, overwrite: bool = False, **model_args: Any
) -> None:
    """Writes a weights-only file for `load_weights` of the original script; the inverse of `from_keras`.

    Layers have the names that they get in a process that builds the four networks in order.

    Args:
        network_id: one of `edge_gan/...`.
        variables: variables from `from_keras`, `from_torch` or `module.init`, trained or not; written as float32.
        path: file to write, `.h5`.
        overwrite: whether to replace an existing file.
        **model_args: arguments for `sirr_jax.build`.

    Raises:
        ConversionError: Variables are missing, unexpected or have wrong shapes; the message lists their paths.
        UserError: The network has no Keras layout, the file exists and `overwrite` is False, it cannot be written, or
            h5py is not installed.
    """
    path = Path(path)
    if network_id in VGG_IDS:
        raise UserError(f"{network_id} cannot be written as a Keras file; write .pth or .safetensors")
    network = _get_network(network_id, model_args)
    if path.exists() and not overwrite:
        raise UserError(f"{path} exists; choose another name or ask to overwrite it")
    require_h5py(path)
    arrays = _collect_arrays(network_id, network, variables, model_args)
    try:
        with new_file(path, overwrite=overwrite) as partial:
            _write(partial, network, arrays)
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error}); check the folder and the space on its disk") from error


_SUPPORTED = f"Keras files are supported for {', '.join((*KERAS_NETWORKS, *VGG_IDS))}"


def _get_network(network_id: str, model_args: Mapping[str, Any]) -> KerasNetwork:
    if network_id not in KERAS_NETWORKS:
        if network_id not in list_networks():
            raise UserError(f"no network is called {network_id!r}; `sirr models` lists the ids")
        raise UserError(f"{network_id} has no Keras layout; {_SUPPORTED}")
    if model_args.get("variant", "released") != "released":
        raise UserError(f"{network_id} has a Keras layout only for variant='released'; write .pth or .safetensors")
    return KERAS_NETWORKS[network_id]


def _select_model(network_id: str, network: KerasNetwork, models: list[KerasModel], path: str | Path) -> KerasModel:
    """Selects the model in the file that is this network, or the one that is nearest to it."""
    for model in models:
        if match_layers(network, model).is_complete:
            return model
    others = [
        name for name in KERAS_NETWORKS for model in models if match_layers(KERAS_NETWORKS[name], model).is_complete
    ]
    if others:
        raise ConversionError(f"{path} contains {' and '.join(others)}, not {network_id}")
    if not models:
        raise ConversionError(f"{path} contains no weights")
    return max(models, key=lambda model: len(match_layers(network, model).pairs))


def _check(
    network_id: str, network: KerasNetwork, model: KerasModel, path: str | Path, model_args: Mapping[str, Any]
) -> None:
    """Raises an error that lists all differences."""
    match = match_layers(network, model)
    missing = [f"{layer.name}/{array}" for layer in match.missing for array in LAYER_ARRAYS[layer.class_name]]
    unexpected = [*match.unexpected]
    for layer, file_layer in match.pairs:
        expected, actual = LAYER_ARRAYS[layer.class_name], file_layer.arrays
        missing += [f"{layer.name}/{array}" for array in expected if array not in actual]
        unexpected += [f"{file_layer.name}/{array}" for array in actual if array not in expected]
    misshaped = _find_misshaped(network_id, model, model_args)
    if missing or unexpected or misshaped:
        raise ConversionError(network_id, missing=missing, unexpected=unexpected, misshaped=misshaped).about(path)
    if conflict := match.find_conflict(network):
        raise ConversionError(f"{path}: {conflict}")


def _find_misshaped(
    network_id: str, model: KerasModel, model_args: Mapping[str, Any]
) -> list[tuple[str, Shape, Shape]]:
    shapes = {path: leaf.shape for path, leaf in flatten(variable_shapes(network_id, **model_args)).items()}
    misshaped = []
    for layer, file_layer in match_layers(KERAS_NETWORKS[network_id], model).pairs:
        for array in (array for array in LAYER_ARRAYS[layer.class_name] if array in file_layer.arrays):
            shape, expected = file_layer.arrays[array].shape, _keras_shape(layer, array, shapes[layer.variable(array)])
            if shape != expected:
                misshaped.append((f"{layer.name}/{array} ({file_layer.name})", shape, expected))
    return misshaped


def _infer_model_args(network_id: str, model: KerasModel, path: str | Path) -> dict[str, Any]:
    """Infers the first arguments under which all shapes fit."""
    heads = _HEADS if network_id == "edge_gan/discriminator" else ({},)
    nearest: list[tuple[str, Shape, Shape]] | None = None
    for model_args in (width | head for width in _WIDTHS for head in heads):
        misshaped = _find_misshaped(network_id, model, model_args)
        if not misshaped:
            return model_args
        nearest = misshaped if nearest is None else min(nearest, misshaped, key=len)
    raise ConversionError(network_id, misshaped=nearest or ()).about(path)


def _swap_channels(layer: KerasLayer, name: str, array: np.ndarray) -> np.ndarray:
    """Swaps the channels of transposed kernels: Keras (height, width, out, in), Flax (height, width, in, out)."""
    return array.swapaxes(2, 3) if layer.class_name == "conv2d_transpose" and name == "kernel" else array


def _keras_shape(layer: KerasLayer, array: str, shape: Shape) -> Shape:
    return _swap_channels(layer, array, np.empty(shape, np.void)).shape


def _collect_arrays(
    network_id: str, network: KerasNetwork, variables: Mapping[str, Any], model_args: Mapping[str, Any]
) -> dict[tuple[KerasLayer, str], np.ndarray]:
    """Returns the arrays of each layer as Keras stores them, float32."""
    shapes = {path: leaf.shape for path, leaf in flatten(variable_shapes(network_id, **model_args)).items()}
    flat = {path: np.asarray(value) for path, value in flatten(variables).items()}
    missing = ["/".join(path) for path in shapes if path not in flat]
    unexpected = ["/".join(path) for path in flat if path not in shapes]
    misshaped = [
        ("/".join(path), array.shape, shapes[path])
        for path, array in flat.items()
        if array.shape != shapes.get(path, array.shape)
    ]
    if missing or unexpected or misshaped:
        raise ConversionError(network_id, missing=missing, unexpected=unexpected, misshaped=misshaped)
    return {
        (layer, array): _swap_channels(layer, array, flat[layer.variable(array)].astype(np.float32))
        for layer in network.layers
        for array in LAYER_ARRAYS[layer.class_name]
    }


def _write(path: Path, network: KerasNetwork, arrays: Mapping[tuple[KerasLayer, str], np.ndarray]) -> None:
    import h5py

    # The oldest format, as h5py wrote it at the time of TensorFlow 1.12.
    with h5py.File(path, "w", libver="earliest") as file:
        # Arrays of bytes become strings of fixed length, which every version of h5py reads as bytes.
        file.attrs["layer_names"] = np.array([network.fresh_name(layer) for layer in network.layers], "S")
        file.attrs["backend"] = np.bytes_("tensorflow")
        file.attrs["keras_version"] = np.bytes_("2.1.6-tf")
        for layer in network.layers:
            group = file.create_group(network.fresh_name(layer))
            names = {array: f"{network.fresh_name(layer)}/{array}:0" for array in LAYER_ARRAYS[layer.class_name]}
            group.attrs["weight_names"] = np.array([*names.values()], "S")
            for array, name in names.items():
                group.create_dataset(name, data=arrays[layer, array])
