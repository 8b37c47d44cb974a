"""Reads VGG-16 and VGG-19 weights from a file of the user, in any format that `load_weights` reads."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast

import jax.numpy as jnp
import numpy as np

from sirr_jax.errors import UserError
from sirr_jax.models.registry import pretrained_info
from sirr_jax.models.vgg import CAFFE_VGG, VGG16_BLOCKS, VGG19_BLOCKS, convolutions
from sirr_jax.weights.key_maps import key_map
from sirr_jax.weights.key_maps.base import to_flax
from sirr_jax.weights.metadata import read_metadata
from sirr_jax.weights.model_file import Parent, build_model
from sirr_jax.weights.read_state_dicts import read_state_dicts
from sirr_jax.weights.readers.file_type import detect_file_type
from sirr_jax.weights.readers.safetensors_file import read_safetensors
from sirr_jax.weights.sha256 import sha256

Convention = Literal["torchvision", "caffe"]

_BLOCKS = {"vgg16": VGG16_BLOCKS, "vgg19": VGG19_BLOCKS}
_TITLES = {"vgg16": "VGG-16", "vgg19": "VGG-19"}
_OTHER = {"vgg16": "VGG-19", "vgg19": "VGG-16"}


class VggWeights(NamedTuple):
    """Parameters of a network of `sirr_jax.models.vgg` and the normalization that they expect.

    Attributes:
        params: `{convolution: {"kernel": ..., "bias": ...}}`.
        layers: names of the convolutions in the file: the network's first ones.
        convention: "torchvision" (RGB, ImageNet mean and standard deviation) or "caffe" (BGR, 0..255 minus the mean).
        source: name, license and SHA-256 of the weights.
    """

    params: dict[str, Any]
    layers: tuple[str, ...]
    convention: Convention
    source: Parent


def read_vgg(
    path: str | Path, network: Literal["vgg16", "vgg19"], *, option: str = "config.perceptual_weights"
) -> VggWeights:
    """Reads VGG weights.

    Args:
        path: Keras-style `.npz` (`block1_conv1/kernel`, HWIO) or `.h5` with the original Caffe weights; `.safetensors`
            or a PyTorch file with torchvision's keys (`features.0.weight`, OIHW; ERRNet's prefix
            `vgg_pretrained_features.` is accepted); or a model file that `sirr convert` made of any of them. Files may
            end after any layer.
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
    if path.suffix == ".npz":
        _check_archive(path)
    file_type = detect_file_type(path)
    stored: tuple[dict[str, Any], Convention, str] | None = None
    arrays: Mapping[str, np.ndarray] = {}
    if file_type == "hdf5":
        from sirr_jax.weights.keras.convert import from_keras

        stored = from_keras(network, path)["params"], "caffe", CAFFE_VGG.license
    elif file_type == "npz":
        arrays = _read_npz(path)
    elif file_type == "torch":
        arrays = _first(read_state_dicts(path, network_id=network).arrays)
    else:
        contents, metadata = read_safetensors(path)
        if (rebuild := read_metadata(metadata)) is not None:
            stored = _from_model(rebuild, contents, path, network, option)
        else:
            arrays = _first(read_state_dicts(path, network_id=network, arrays=contents).arrays)
    if stored is not None:
        params, convention, license_ = stored
    else:
        params, convention = vgg_params(arrays, path, network)
        license_ = (CAFFE_VGG if convention == "caffe" else pretrained_info(network)).license
    floats = {name: {k: jnp.asarray(v, jnp.float32) for k, v in layer.items()} for name, layer in params.items()}
    return VggWeights(floats, tuple(params), convention, Parent(network, license_, sha256(path)))


def vgg_params(
    arrays: Mapping[str, np.ndarray], path: Path, network: Literal["vgg16", "vgg19"]
) -> tuple[dict[str, dict[str, np.ndarray]], Convention]:
    """Sorts the arrays of a file by the convolutions of a VGG.

    Args:
        arrays: arrays by Keras's or torchvision's names.
        path: file, for error messages.
        network: network that the arrays must be of.

    Returns:
        `{convolution: {"kernel": ..., "bias": ...}}`, kernels as HWIO, and the convention.

    Raises:
        UserError: The arrays are those of another network.
    """
    title = _TITLES[network]
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
    chosen = {name: params[name] for name in layers}
    _check_shapes(path, title, chosen, widths)
    return chosen, convention


def read_npz_vgg(path: Path, network: Literal["vgg16", "vgg19"]) -> tuple[dict[str, dict[str, np.ndarray]], Convention]:
    """Reads a VGG from an `.npz` archive in Keras's or torchvision's layout, with the file's dtypes.

    Args:
        path: `.npz` archive.
        network: network that the file must contain.

    Returns:
        `{convolution: {"kernel": ..., "bias": ...}}`, and the convention.

    Raises:
        UserError: The file is damaged or contains another network.
    """
    return vgg_params(_read_npz(path), path, network)


def _from_model(
    rebuild: Mapping[str, Any], arrays: dict[str, np.ndarray], path: Path, network: str, option: str
) -> tuple[dict[str, Any], Convention, str]:
    """Returns parameters, convention and license of the VGG in a model file."""
    model = build_model(rebuild, arrays, path)
    stored = next((x for x in model.networks.values() if x.id == network), None)
    if stored is None or stored.model_args.get("width", "base") != "base":
        contents = ", ".join(f"{x.id} {x.model_args or ''}".strip() for x in model.networks.values())
        raise UserError(f"{path} contains {contents}, not {_TITLES[network]}; correct {option} or leave it empty")
    license_ = stored.license or model.license
    # Model files of earlier versions do not contain the convention, only whose weights these are.
    convention = stored.convention or ("caffe" if CAFFE_VGG.license in license_ else "torchvision")
    order = convolutions(_BLOCKS[network])
    params = {name: stored.variables["params"][name] for name in order if name in stored.variables["params"]}
    return params, cast(Convention, convention), license_


def _first(state_dicts: Mapping[str, dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return next(iter(state_dicts.values()))


def _check_archive(path: Path) -> None:
    # NumPy reads any other file as a single array or a pickle.
    if not zipfile.is_zipfile(path):
        raise UserError(f"{path} is no .npz archive; download or convert it again")


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    _check_archive(path)
    try:
        with np.load(path, allow_pickle=False) as archive:
            return dict(archive)
    except Exception as error:  # damaged files raise many types in NumPy and zipfile, even TokenError
        raise UserError(f"cannot read {path} as .npz ({error}); download it again") from error


def _sort_by_convolution(
    arrays: Mapping[str, np.ndarray], network: str
) -> tuple[dict[str, dict[str, np.ndarray]], list[str], Convention]:
    """Returns arrays by convolution (kernels as HWIO), keys that the network does not have, and the convention."""
    names, rules = convolutions(_BLOCKS[network]), {rule.key: rule for rule in key_map(network).rules({})}
    params: dict[str, dict[str, np.ndarray]] = {}
    unexpected: list[str] = []
    convention: Convention = "caffe"
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
