"""Reads VGG-16 and VGG-19 weights from a file of the user."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax.numpy as jnp
import numpy as np
from safetensors.numpy import load_file

from sirr_jax.errors import UserError
from sirr_jax.models.vgg import VGG16_BLOCKS, VGG19_BLOCKS, convolutions
from sirr_jax.weights.key_maps import key_map
from sirr_jax.weights.key_maps.base import to_flax
from sirr_jax.weights.readers.torch_file import read_torch

_BLOCKS = {"vgg16": VGG16_BLOCKS, "vgg19": VGG19_BLOCKS}
_TITLES = {"vgg16": "VGG-16", "vgg19": "VGG-19"}
_OTHER = {"vgg16": "VGG-19", "vgg19": "VGG-16"}
_TORCH_SUFFIXES = (".pth", ".pt", ".pkl")


class VggWeights(NamedTuple):
    """Parameters of a network of `sirr_jax.models.vgg` and the normalization that they expect.

    Attributes:
        params: `{convolution: {"kernel": ..., "bias": ...}}`.
        layers: names of the convolutions in the file: the network's first ones.
        convention: "torchvision" (RGB, ImageNet mean and standard deviation) or "caffe" (BGR, 0..255 minus the mean).
    """

    params: dict[str, Any]
    layers: tuple[str, ...]
    convention: Literal["torchvision", "caffe"]


def read_vgg(
    path: str | Path, network: Literal["vgg16", "vgg19"], *, option: str = "config.perceptual_weights"
) -> VggWeights:
    """Reads VGG weights.

    Args:
        path: Keras-style `.npz` (`block1_conv1/kernel`, HWIO: the original Caffe weights), or `.safetensors` or `.pth`
            with torchvision's keys (`features.0.weight`, OIHW; ERRNet's prefix `vgg_pretrained_features.` is accepted).
            Files may end after any layer.
        network: network that the file must contain.
        option: name of the option that selects the file, for error messages.

    Returns:
        The parameters as float32 arrays, kernels as HWIO.

    Raises:
        UserError: The file is missing, unreadable or does not contain this network.
    """
    path, title = Path(path), _TITLES[network]
    if not path.is_file():
        raise UserError(f"no {title} weight file at {path}; correct {option} or leave it empty")
    arrays = _read_arrays(path)
    params, unexpected, convention = _sort_by_convolution(arrays, network)
    widths = convolutions(_BLOCKS[network])
    names, layers = tuple(widths), []
    for name in names:
        if params.get(name, {}).keys() != {"kernel", "bias"}:
            break
        layers.append(name)
    # Only VGG-19 has a fourth convolution in a block; up to there the names are the same.
    if any(name in params for name in names[len(layers) + 1 :]):
        gap = names[len(layers)]
        raise UserError(
            f"{path} is not {title}: {gap} is missing, but later layers are present; "
            f"give {title} weights, not {_OTHER[network]}"
        )
    if not layers:
        raise UserError(
            f"{path} is not {title}: expected block1_conv1/kernel and /bias, or features.0.weight and .bias, "
            f"found {sorted(arrays)[:3]}"
        )
    if unexpected:
        raise UserError(
            f"{path} is not {title}, which has no {unexpected[0]}; give {title} weights, not {_OTHER[network]}"
        )
    _check_shapes(path, title, {name: params[name] for name in layers}, widths)
    floats = {name: {k: jnp.asarray(v, jnp.float32) for k, v in params[name].items()} for name in layers}
    return VggWeights(floats, tuple(layers), convention)


def _read_arrays(path: Path) -> dict[str, np.ndarray]:
    if path.suffix in _TORCH_SUFFIXES:
        return read_torch(path)
    is_npz = path.suffix == ".npz"
    # NumPy reads any other file as a single array or a pickle.
    if is_npz and not zipfile.is_zipfile(path):
        raise UserError(f"{path} is no .npz archive; download or convert it again")
    try:
        if not is_npz:
            return load_file(path)
        with np.load(path, allow_pickle=False) as archive:
            return dict(archive)
    except Exception as error:  # damaged files raise many types in NumPy and zipfile, even TokenError
        raise UserError(f"cannot read {path} as .npz or .safetensors ({error}); download it again") from error


def _sort_by_convolution(
    arrays: dict[str, np.ndarray], network: str
) -> tuple[dict[str, dict[str, np.ndarray]], list[str], Literal["torchvision", "caffe"]]:
    """Returns arrays by convolution (kernels as HWIO), keys that the network does not have, and the convention."""
    names, rules = convolutions(_BLOCKS[network]), {rule.key: rule for rule in key_map(network).rules({})}
    params: dict[str, dict[str, np.ndarray]] = {}
    unexpected: list[str] = []
    convention: Literal["torchvision", "caffe"] = "caffe"
    for key, value in arrays.items():
        keras = re.fullmatch(r"block(\d)_conv(\d)[/.](kernel|bias)", key)
        torch = re.fullmatch(r"(?:vgg_pretrained_)?(features\.\d+\.(?:weight|bias))", key)
        if torch:
            convention = "torchvision"
        if keras and f"conv{keras[1]}_{keras[2]}" in names:
            params.setdefault(f"conv{keras[1]}_{keras[2]}", {})[keras[3]] = value
        elif torch and torch[1] in rules:
            rule = rules[torch[1]]
            _, name, part = rule.path
            # Arrays with other numbers of axes are rejected later, for their shape.
            ordered = value if part == "kernel" and value.ndim != 4 else to_flax(value, rule.layout)
            params.setdefault(name, {})[part] = ordered
        elif keras or torch:
            unexpected.append(key)
    return params, unexpected, convention


def _check_shapes(path: Path, title: str, params: dict[str, dict[str, np.ndarray]], widths: dict[str, int]) -> None:
    channels = 3
    for name, arrays in params.items():
        width = widths[name]
        expected = {"kernel": (3, 3, channels, width), "bias": (width,)}
        for part, shape in expected.items():
            if arrays[part].shape != shape:
                raise UserError(
                    f"{path} is not {title}: {name} has a {part} of shape {arrays[part].shape}, expected {shape}"
                )
        channels = width
