"""The VGG weights of Keras's applications."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sirr_jax.models.vgg import VGG16_BLOCKS, VGG19_BLOCKS, convolutions
from sirr_jax.weights.errors import ConversionError
from sirr_jax.weights.readers.hdf5_file import H5Array, H5Layer, read_h5
from sirr_jax.weights.variables import flatten, variable_shapes

_BLOCKS = {"vgg16": VGG16_BLOCKS, "vgg19": VGG19_BLOCKS}
VGG_IDS = tuple(_BLOCKS)

_LAYER = r"block(\d)_conv(\d)"
# Keras 2 says `kernel:0`, Keras 1 `block1_conv1_W_1:0`.
_PART = re.compile(r"(?:.*[/_])?(kernel|W|bias|b)(?:_\d+)?(?::\d+)?")
_PARTS = {"kernel": "kernel", "W": "kernel", "bias": "bias", "b": "bias"}


def read_keras_vgg(network_id: str, path: str | Path, **model_args: Any) -> dict[str, Any]:
    """The convolutions of a file of `keras.applications`, with or without the dense layers, which are left out.

    The weights are Caffe's: for images as `sirr_jax.models.vgg.normalize(image, "caffe")` makes them.

    Args:
        network_id: "vgg16" or "vgg19".
        path: the `.h5` file.
        **model_args: the arguments for `sirr_jax.build`; convolutions beyond `layers` are left out.

    Returns:
        `{"params": {"conv1_1": {"kernel", "bias"}, ...}}`, NumPy arrays.

    Raises:
        ConversionError: if the file is unreadable, or is no such network; lists what differs.
    """
    expected = flatten(variable_shapes(network_id, **model_args)["params"])
    found = _convolutions(read_h5(path, _LAYER))
    other = next(name for name in VGG_IDS if name != network_id)
    known = convolutions(_BLOCKS[network_id])
    if any(name in convolutions(_BLOCKS[other]) and name not in known for name in found):
        raise ConversionError(f"{path} holds {other}, not {network_id}")
    missing = ["/".join(at) for at in expected if at[1] not in found.get(at[0], {})]
    unexpected = [f"{name}/{part}" for name, parts in found.items() for part in parts if name not in known]
    misshaped = [
        ("/".join(at), found[at[0]][at[1]].shape, leaf.shape)
        for at, leaf in expected.items()
        if at[1] in found.get(at[0], {}) and found[at[0]][at[1]].shape != leaf.shape
    ]
    if missing or unexpected or misshaped:
        raise ConversionError(network_id, missing=missing, unexpected=unexpected, misshaped=misshaped).about(path)
    params: dict[str, dict[str, Any]] = {}
    for name, part in expected:
        params.setdefault(name, {})[part] = found[name][part].numbers(path)
    return {"params": params}


def detect_keras_vgg(path: str | Path, layers: Sequence[H5Layer]) -> tuple[str, dict[str, Any]] | None:
    """The id and arguments, or None if these are not the layers of a VGG.

    Raises:
        ConversionError: if the file ends before VGG-16 and VGG-19 differ.
    """
    found = _convolutions(layers)
    if "kernel" not in found.get("conv1_1", {}):
        return None
    fitting = [name for name, blocks in _BLOCKS.items() if found.keys() <= convolutions(blocks).keys()]
    complete = [name for name in fitting if convolutions(_BLOCKS[name]).keys() == found.keys()]
    if len(complete or fitting) != 1:
        raise ConversionError(f"{path} may be {' or '.join(fitting or VGG_IDS)}; name the one that you mean")
    (network_id,) = complete or fitting
    model_args: dict[str, Any] = {}
    if not complete:
        model_args["layers"] = tuple(itertools.takewhile(found.__contains__, convolutions(_BLOCKS[network_id])))
    if found["conv1_1"]["kernel"].shape[-1:] != (_BLOCKS[network_id][0][0],):
        model_args["width"] = "tiny"
    return network_id, model_args


def _convolutions(layers: Sequence[H5Layer]) -> dict[str, dict[str, H5Array]]:
    """`{"conv1_1": {"kernel": array, "bias": array}, ...}`."""
    found: dict[str, dict[str, H5Array]] = {}
    for layer in layers:
        if name := re.fullmatch(_LAYER, layer.name):
            parts = {_part(array.name): array for array in layer.arrays}
            found[f"conv{name[1]}_{name[2]}"] = parts
    return found


def _part(name: str) -> str:
    known = _PART.fullmatch(name)
    return _PARTS[known[1]] if known else name
