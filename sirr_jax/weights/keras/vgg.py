"""Reads the VGG weights of `keras.applications`."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sirr_jax.models.vgg import VGG16_BLOCKS, VGG19_BLOCKS, convolutions
from sirr_jax.models.width import read_width
from sirr_jax.weights.errors import ConversionError
from sirr_jax.weights.readers.hdf5_file import H5Array, H5Layer, read_h5
from sirr_jax.weights.variables import flatten, variable_shapes

_BLOCKS = {"vgg16": VGG16_BLOCKS, "vgg19": VGG19_BLOCKS}
VGG_IDS = tuple(_BLOCKS)

_LAYER = r"block(\d)_conv(\d)"
# Names of arrays: `kernel:0` in Keras 2, `block1_conv1_W_1:0` in Keras 1.
_ARRAY = re.compile(r"(?:.*[/_])?(kernel|W|bias|b)(?:_\d+)?(?::\d+)?")
_ARRAY_NAMES = {"kernel": "kernel", "W": "kernel", "bias": "bias", "b": "bias"}


def read_keras_vgg(network_id: str, path: str | Path, **model_args: Any) -> dict[str, Any]:
    """Reads the convolutions of a file of `keras.applications`; dense layers are ignored.

    These are Caffe's weights, for images normalized by `sirr_jax.models.vgg.normalize(image, "caffe")`.

    Args:
        network_id: "vgg16" or "vgg19".
        path: `.h5` file.
        **model_args: arguments for `sirr_jax.build`; convolutions beyond `layers` are ignored.

    Returns:
        `{"params": {"conv1_1": {"kernel": ..., "bias": ...}, ...}}`, float32 NumPy arrays.

    Raises:
        ConversionError: The file is unreadable or contains another network; the message lists the differences.
        UserError: h5py is not installed.
    """
    expected = flatten(variable_shapes(network_id, **model_args)["params"])
    layers = _select_convolutions(read_h5(path, _LAYER))
    other = next(name for name in VGG_IDS if name != network_id)
    known = convolutions(_BLOCKS[network_id])
    if any(name in convolutions(_BLOCKS[other]) and name not in known for name in layers):
        raise ConversionError(f"{path} contains {other}, not {network_id}")
    missing = [f"{name}/{part}" for name, part in expected if part not in layers.get(name, {})]
    unexpected = [f"{name}/{part}" for name, arrays in layers.items() for part in arrays if name not in known]
    misshaped = [
        (f"{name}/{part}", layers[name][part].shape, leaf.shape)
        for (name, part), leaf in expected.items()
        if part in layers.get(name, {}) and layers[name][part].shape != leaf.shape
    ]
    if missing or unexpected or misshaped:
        raise ConversionError(network_id, missing=missing, unexpected=unexpected, misshaped=misshaped).about(path)
    params: dict[str, dict[str, Any]] = {}
    for name, part in expected:
        params.setdefault(name, {})[part] = layers[name][part].require_values(path)
    return {"params": params}


def detect_keras_vgg(path: str | Path, layers: Sequence[H5Layer]) -> tuple[str, dict[str, Any]] | None:
    """Detects a VGG.

    Args:
        path: `.h5` file, for error messages.
        layers: layers of the file.

    Returns:
        Network id, and the arguments that differ from its defaults; None if these are not the layers of a VGG.

    Raises:
        ConversionError: The file ends before VGG-16 and VGG-19 differ.
    """
    arrays = _select_convolutions(layers)
    if "kernel" not in arrays.get("conv1_1", {}):
        return None
    fitting = [name for name, blocks in _BLOCKS.items() if arrays.keys() <= convolutions(blocks).keys()]
    complete = [name for name in fitting if convolutions(_BLOCKS[name]).keys() == arrays.keys()]
    if len(complete or fitting) != 1:
        raise ConversionError(f"{path} may be {' or '.join(fitting or VGG_IDS)}; name one of them (--network)")
    (network_id,) = complete or fitting
    model_args: dict[str, Any] = {}
    if not complete:
        model_args["layers"] = tuple(itertools.takewhile(arrays.__contains__, convolutions(_BLOCKS[network_id])))
    width = read_width(arrays["conv1_1"]["kernel"].shape[-1], _BLOCKS[network_id][0][0])
    if width not in (None, "base"):
        model_args["width"] = width
    return network_id, model_args


def _select_convolutions(layers: Sequence[H5Layer]) -> dict[str, dict[str, H5Array]]:
    """Returns `{"conv1_1": {"kernel": array, "bias": array}, ...}`."""
    arrays: dict[str, dict[str, H5Array]] = {}
    for layer in layers:
        if name := re.fullmatch(_LAYER, layer.name):
            arrays[f"conv{name[1]}_{name[2]}"] = {_array_name(array.name): array for array in layer.arrays}
    return arrays


def _array_name(name: str) -> str:
    match = _ARRAY.fullmatch(name)
    return _ARRAY_NAMES[match[1]] if match else name
