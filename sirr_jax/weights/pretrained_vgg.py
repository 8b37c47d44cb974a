"""VGG-16 and VGG-19 weights from a file that the user holds."""

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
    """Parameters of a network of `sirr_jax.models.vgg` and the range they were trained for.

    Attributes:
        params: `{conv name: {"kernel", "bias"}}`.
        layers: the convolutions present, a prefix of the network.
        convention: "torchvision" (RGB, ImageNet mean and deviation) or "caffe" (BGR, 0..255 minus the mean).
    """

    params: dict[str, Any]
    layers: tuple[str, ...]
    convention: Literal["torchvision", "caffe"]


def read_vgg(
    path: str | Path, network: Literal["vgg16", "vgg19"], *, option: str = "config.perceptual_weights"
) -> VggWeights:
    """Read VGG weights.

    Args:
        path: a Keras-style `.npz` (`block1_conv1/kernel`, HWIO: the original Caffe weights), or a `.safetensors` or
            `.pth` with torchvision's keys (`features.0.weight`, OIHW; the prefix `vgg_pretrained_features.` of
            ERRNet's copy will do too). Files may stop after any layer.
        network: which network it must be.
        option: what the errors call the choice of the file.

    Raises:
        UserError: if the file is missing, unreadable or does not hold this network.
    """
    path, title = Path(path), _TITLES[network]
    if not path.is_file():
        raise UserError(f"no {title} weight file at {path}; correct {option} or leave it empty")
    arrays = _read_arrays(path)
    found, strange, convention = _by_convolution(arrays, network)
    widths = convolutions(_BLOCKS[network])
    names, layers = tuple(widths), []
    for name in names:
        if found.get(name, {}).keys() != {"kernel", "bias"}:
            break
        layers.append(name)
    # The two have the same names up to the fourth convolution of a block, which only VGG-19 has.
    if any(name in found for name in names[len(layers) + 1 :]):
        lacking = names[len(layers)]
        raise UserError(
            f"{path} holds no {title}: it goes on after {lacking}, which it lacks; {_OTHER[network]} will not do"
        )
    if not layers:
        raise UserError(
            f"{path} holds no {title}: expected block1_conv1/kernel and /bias, or features.0.weight and .bias, "
            f"found {sorted(arrays)[:3]}"
        )
    if strange:
        raise UserError(f"{path} holds no {title}, which has no {strange[0]}; {_OTHER[network]} will not do")
    _check_shapes(path, title, {name: found[name] for name in layers}, widths)
    params = {name: {k: jnp.asarray(v, jnp.float32) for k, v in found[name].items()} for name in layers}
    return VggWeights(params, tuple(layers), convention)


def _read_arrays(path: Path) -> dict[str, np.ndarray]:
    if path.suffix in _TORCH_SUFFIXES:
        return read_torch(path)
    zipped = path.suffix == ".npz"
    # NumPy takes a file that is no archive for a single array or a pickle.
    if zipped and not zipfile.is_zipfile(path):
        raise UserError(f"{path} is no .npz archive; download or convert it again")
    try:
        if not zipped:
            return load_file(path)
        with np.load(path, allow_pickle=False) as archive:
            return dict(archive)
    except Exception as error:  # damage shows anywhere in NumPy's and zipfile's parsers, even as TokenError
        raise UserError(f"cannot read {path} as .npz or .safetensors ({error}); get it again") from error


def _by_convolution(
    arrays: dict[str, np.ndarray], network: str
) -> tuple[dict[str, dict[str, np.ndarray]], list[str], Literal["torchvision", "caffe"]]:
    """Arrays by convolution, kernels as HWIO; keys of convolutions that the network has not; the convention."""
    names, rows = convolutions(_BLOCKS[network]), {row.key: row for row in key_map(network).rows({})}
    found: dict[str, dict[str, np.ndarray]] = {}
    strange: list[str] = []
    convention: Literal["torchvision", "caffe"] = "caffe"
    for key, value in arrays.items():
        keras = re.fullmatch(r"block(\d)_conv(\d)[/.](kernel|bias)", key)
        torch = re.fullmatch(r"(?:vgg_pretrained_)?(features\.\d+\.(?:weight|bias))", key)
        if torch:
            convention = "torchvision"
        if keras and f"conv{keras[1]}_{keras[2]}" in names:
            found.setdefault(f"conv{keras[1]}_{keras[2]}", {})[keras[3]] = value
        elif torch and torch[1] in rows:
            row = rows[torch[1]]
            _, name, part = row.path
            # An array with other axes is refused for its shape, later.
            ordered = value if part == "kernel" and value.ndim != 4 else to_flax(value, row.layout)
            found.setdefault(name, {})[part] = ordered
        elif keras or torch:
            strange.append(key)
    return found, strange, convention


def _check_shapes(path: Path, title: str, found: dict[str, dict[str, np.ndarray]], widths: dict[str, int]) -> None:
    channels = 3
    for name, arrays in found.items():
        width = widths[name]
        expected = {"kernel": (3, 3, channels, width), "bias": (width,)}
        for part, shape in expected.items():
            if arrays[part].shape != shape:
                raise UserError(
                    f"{path} holds no {title}: {name} has a {part} of shape {arrays[part].shape}, expected {shape}"
                )
        channels = width
