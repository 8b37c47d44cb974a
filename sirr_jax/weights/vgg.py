"""VGG-19 weights from a file that the user holds."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax.numpy as jnp
import numpy as np
from safetensors.numpy import load_file

from sirr_jax.errors import UserError
from sirr_jax.models.vgg import VGG19_BLOCKS

# torchvision counts every layer of `features`; these are the positions of its convolutions.
_TORCHVISION = dict(zip((0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34), range(16), strict=True))
_WIDTHS = {f"conv{b}_{i}": width for b, block in enumerate(VGG19_BLOCKS, 1) for i, width in enumerate(block, 1)}
_NAMES = tuple(_WIDTHS)


class VggWeights(NamedTuple):
    """Parameters of `sirr_jax.models.vgg.Vgg19` and the range they were trained for.

    Attributes:
        params: `{conv name: {"kernel", "bias"}}`.
        layers: the convolutions present, a prefix of the network.
        convention: "torchvision" (RGB, ImageNet mean and deviation) or "caffe" (BGR, 0..255 minus the mean).
    """

    params: dict[str, Any]
    layers: tuple[str, ...]
    convention: Literal["torchvision", "caffe"]


def read_vgg19(path: str | Path) -> VggWeights:
    """Read VGG-19 weights.

    Args:
        path: a Keras-style `.npz` (`block1_conv1/kernel`, HWIO: the original Caffe weights) or a `.safetensors` of
            torchvision's `vgg19` (`features.0.weight`, OIHW). Files may stop after any layer.

    Raises:
        UserError: if the file is missing, unreadable or holds no VGG-19.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"no VGG-19 weight file at {path}; correct config.perceptual_weights or leave it empty")
    arrays = _read_arrays(path)
    found, convention = _by_convolution(arrays)
    layers = []
    for name in _NAMES:
        if found.get(name, {}).keys() != {"kernel", "bias"}:
            break
        layers.append(name)
    # VGG-16 has the same names, but no fourth convolution in a block.
    if any(name in found for name in _NAMES[len(layers) + 1 :]):
        raise UserError(
            f"{path} holds no VGG-19: it goes on after {_NAMES[len(layers)]}, which it lacks; VGG-16 will not do"
        )
    if not layers:
        raise UserError(
            f"{path} holds no VGG-19: expected block1_conv1/kernel and /bias, or features.0.weight and .bias, "
            f"found {sorted(arrays)[:3]}"
        )
    _check_shapes(path, {name: found[name] for name in layers})
    params = {name: {k: jnp.asarray(v, jnp.float32) for k, v in found[name].items()} for name in layers}
    return VggWeights(params, tuple(layers), convention)


def _read_arrays(path: Path) -> dict[str, np.ndarray]:
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
    arrays: dict[str, np.ndarray],
) -> tuple[dict[str, dict[str, np.ndarray]], Literal["torchvision", "caffe"]]:
    """Sort arrays by convolution, kernels as HWIO."""
    found: dict[str, dict[str, np.ndarray]] = {}
    convention: Literal["torchvision", "caffe"] = "caffe"
    for key, value in arrays.items():
        if keras := re.fullmatch(r"block(\d)_conv(\d)[/.](kernel|bias)", key):
            found.setdefault(f"conv{keras[1]}_{keras[2]}", {})[keras[3]] = value
        elif (torch := re.fullmatch(r"features\.(\d+)\.(weight|bias)", key)) and int(torch[1]) in _TORCHVISION:
            convention = "torchvision"
            name = _NAMES[_TORCHVISION[int(torch[1])]]
            if torch[2] == "bias":
                found.setdefault(name, {})["bias"] = value
            else:
                found.setdefault(name, {})["kernel"] = value.transpose(2, 3, 1, 0) if value.ndim == 4 else value
    return found, convention


def _check_shapes(path: Path, found: dict[str, dict[str, np.ndarray]]) -> None:
    channels = 3
    for name, arrays in found.items():
        width = _WIDTHS[name]
        expected = {"kernel": (3, 3, channels, width), "bias": (width,)}
        for part, shape in expected.items():
            if arrays[part].shape != shape:
                raise UserError(
                    f"{path} holds no VGG-19: {name} has a {part} of shape {arrays[part].shape}, expected {shape}"
                )
        channels = width
