"""VGG-19 weights from a file that the user holds."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax.numpy as jnp
import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from sirr_jax.errors import UserError

# torchvision counts every layer of `features`; these are the positions of its convolutions.
_TORCHVISION = dict(zip((0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34), range(16), strict=True))
_NAMES = tuple(f"conv{b}_{i}" for b, n in enumerate((2, 2, 4, 4, 4), 1) for i in range(1, n + 1))


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
    try:
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as archive:
                arrays = dict(archive)
        else:
            arrays = load_file(path)
    except (OSError, ValueError, SafetensorError) as error:
        raise UserError(f"cannot read {path} as .npz or .safetensors ({error})") from error

    found: dict[str, dict[str, np.ndarray]] = {}
    convention: Literal["torchvision", "caffe"] = "caffe"
    for key, value in arrays.items():
        if keras := re.fullmatch(r"block(\d)_conv(\d)[/.](kernel|bias)", key):
            found.setdefault(f"conv{keras[1]}_{keras[2]}", {})[keras[3]] = value
        elif (torch := re.fullmatch(r"features\.(\d+)\.(weight|bias)", key)) and int(torch[1]) in _TORCHVISION:
            convention = "torchvision"
            name = _NAMES[_TORCHVISION[int(torch[1])]]
            is_kernel = torch[2] == "weight"
            array = value.transpose(2, 3, 1, 0) if is_kernel else value
            found.setdefault(name, {})["kernel" if is_kernel else "bias"] = array
    layers = []
    for name in _NAMES:
        if found.get(name, {}).keys() != {"kernel", "bias"}:
            break
        layers.append(name)
    if not layers:
        raise UserError(
            f"{path} holds no VGG-19: expected block1_conv1/kernel or features.0.weight, found {sorted(arrays)[:3]}"
        )
    params = {name: {k: jnp.asarray(v, jnp.float32) for k, v in found[name].items()} for name in layers}
    return VggWeights(params, tuple(layers), convention)
