"""Reads weight files of any type as the networks of one model."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from sirr_jax.errors import UserError
from sirr_jax.models.pretrained_info import PretrainedInfo
from sirr_jax.models.registry import build, pretrained_info
from sirr_jax.models.vgg import CAFFE_VGG
from sirr_jax.weights.convert import from_torch
from sirr_jax.weights.errors import ConversionError
from sirr_jax.weights.key_maps import key_map
from sirr_jax.weights.metadata import read_metadata
from sirr_jax.weights.model_file import Model, StoredNetwork, build_model
from sirr_jax.weights.multi_file import assemble
from sirr_jax.weights.pretrained_vgg import read_npz_vgg
from sirr_jax.weights.read_state_dicts import read_state_dicts
from sirr_jax.weights.readers.file_type import detect_file_type
from sirr_jax.weights.readers.safetensors_file import read_safetensors

VGG_IDS = ("vgg16", "vgg19")
"""Networks whose files are of two conventions."""


class LoadedWeights(NamedTuple):
    """Result of reading weight files.

    Attributes:
        model: the networks.
        remarks: sentences for the user: other contents of the files.
    """

    model: Model
    remarks: tuple[str, ...]


def load_weights(
    paths: Sequence[str | Path],
    *,
    network_id: str | None = None,
    part: str | None = None,
    model_args: Mapping[str, Any] | None = None,
) -> Model:
    """Reads weight files: PyTorch, safetensors (of sirr_jax and others), Keras `.h5` and, for VGG, `.npz`.

    Where a file contains a moving average of the weights beside the live ones, the average is read.

    Args:
        paths: files of one model: one network, the parts of one (IBCLN's G_T and G_R), or networks that work together
            (ERRNet and VGG-19).
        network_id: network id, if the files contain one network; None to detect it.
        part: name of the weights to read, where a PyTorch or safetensors file has several, or "live" for those that
            are no average; role of the network to select, where the only file is a model file.
        model_args: model arguments that the shapes of the weights do not determine.

    Returns:
        The model. License and description are those of the networks' authors. The description also contains which
        weights were read, and the arguments that neither the weights nor `model_args` determine, with the values
        assumed.

    Raises:
        ConversionError: A file is unreadable, or its contents are unknown, incomplete or of another network.
        UserError: The id is unknown, or a package that the file type needs is not installed.
    """
    return load_with_remarks(paths, network_id=network_id, part=part, model_args=model_args).model


def load_with_remarks(
    paths: Sequence[str | Path],
    *,
    network_id: str | None = None,
    part: str | None = None,
    model_args: Mapping[str, Any] | None = None,
) -> LoadedWeights:
    """Reads weight files, and lists what else they contain.

    Args:
        paths: files of one model, see `load_weights`.
        network_id: network id, see `load_weights`.
        part: name of the weights to read, see `load_weights`.
        model_args: model arguments, see `load_weights`.

    Raises:
        ConversionError: See `load_weights`.
        UserError: See `load_weights`.
    """
    args = dict(model_args or {})
    models: list[Model] = []
    networks: list[StoredNetwork] = []
    state_dicts: list[tuple[str, Mapping[str, Any]]] = []
    facts: list[str] = []
    remarks: list[str] = []
    files: dict[str, str] = {}  # network id -> file, where the file contains complete networks
    for path in map(Path, paths):
        file_type = detect_file_type(path)
        if file_type == "hdf5":
            networks.append(_read_keras(path, network_id, args))
            files[networks[-1].id] = path.name
            continue
        if file_type == "npz":
            networks.append(_read_npz(path, network_id))
            files[networks[-1].id] = path.name
            continue
        arrays = None
        if file_type == "safetensors":
            arrays, metadata = read_safetensors(path)
            if (rebuild := read_metadata(metadata)) is not None:
                model = build_model(rebuild, arrays, path)
                if len(paths) == 1:
                    return LoadedWeights(_select(model, path, network_id, part, model_args), ())
                models.append(model)
                networks += model.networks.values()
                files |= {network.id: path.name for network in model.networks.values()}
                continue
        read = read_state_dicts(path, network_id=network_id, part=part, arrays=arrays)
        several = len(read.arrays) > 1
        state_dicts += [(f"{path.name} ({n})" if several else path.name, x) for n, x in read.arrays.items()]
        facts += read.facts
        remarks += read.remarks if len(paths) == 1 else [f"{path.name}: {remark}" for remark in read.remarks]
    for assembled in assemble(state_dicts, network_id):
        torch_args = {**assembled.model_args, **_accepted(assembled.network_id, args)}
        try:
            variables = from_torch(assembled.network_id, assembled.state_dict, **torch_args)
        except ConversionError as error:
            raise error.about(", ".join(assembled.sources)) from error
        info = pretrained_info(assembled.network_id)
        convention = "torchvision" if assembled.network_id in VGG_IDS else ""
        network = StoredNetwork(
            assembled.network_id, torch_args, variables, license=info.license, convention=convention
        )
        networks.append(network)
        facts += unused_statistics(network)
    _check_args(networks, args)
    _check_convention(networks, files)
    return LoadedWeights(_join(networks, [Path(path).name for path in paths], models, args, facts), tuple(remarks))


def unused_statistics(network: StoredNetwork) -> list[str]:
    """Describes running statistics that a network does not use: those of instance normalization in old PyTorch.

    Args:
        network: converted network.
    """
    kept = network.variables.get("passthrough", {})
    count = sum(key.endswith(".running_mean") for key in kept)
    if not count:
        return []
    return [
        f"{network.id}: running statistics of {count} normalization layers, which it does not use, are passed through"
    ]


def _accepted(network_id: str, model_args: Mapping[str, Any]) -> dict[str, Any]:
    """Returns those of the arguments that a network has."""
    names = {field.name for field in dataclasses.fields(build(network_id))}
    return {name: value for name, value in model_args.items() if name in names}


def _check_args(networks: Sequence[StoredNetwork], model_args: Mapping[str, Any]) -> None:
    for name in model_args:
        if not any(name in network.model_args for network in networks):
            ids = ", ".join(network.id for network in networks)
            raise ConversionError(f"{ids} has no argument {name!r}; remove --model-arg {name}=...")


def _select(
    model: Model, path: Path, network_id: str | None, part: str | None, model_args: Mapping[str, Any] | None
) -> Model:
    """Returns the model, with one of its networks alone if one is named."""
    if model_args:
        raise ConversionError(f"{path} is a model file, which contains the model arguments; remove --model-arg")
    selected = {
        role: network
        for role, network in model.networks.items()
        if network_id in (None, network.id) and part in (None, role)
    }
    if not selected:
        contents = ", ".join(f"{role} ({network.id})" for role, network in model.networks.items())
        wanted = " and ".join(name for name in (network_id, part) if name)
        raise ConversionError(f"{path} contains {contents}, not {wanted}; name one of these")
    return model._replace(networks=selected)


def _describe_assumptions(network: StoredNetwork, model_args: Mapping[str, Any]) -> list[str]:
    """Describes the arguments that neither weights nor `model_args` determine, where they are not off."""
    module = build(network.id, **network.model_args)
    values = {name: getattr(module, name) for name in key_map(network.id).undetectable if name not in model_args}
    return [
        f"{network.id}: assumed {name}={value}, which the weights do not determine"
        for name, value in values.items()
        if value
    ]


def _read_keras(path: Path, network_id: str | None, model_args: Mapping[str, Any]) -> StoredNetwork:
    from sirr_jax.weights.keras.convert import detect_keras, from_keras

    keras_id, keras_args = (network_id, {}) if network_id else detect_keras(path)
    keras_args = {**keras_args, **_accepted(keras_id, model_args)}
    variables = from_keras(keras_id, path, **keras_args)
    if keras_id in VGG_IDS:
        return StoredNetwork(keras_id, keras_args, variables, license=CAFFE_VGG.license, convention="caffe")
    return StoredNetwork(keras_id, keras_args, variables, license=pretrained_info(keras_id).license)


def _read_npz(path: Path, network_id: str | None) -> StoredNetwork:
    """Reads a VGG in Keras's layout, the only network that is published as `.npz`."""
    if network_id not in (None, "vgg16", "vgg19"):
        raise ConversionError(
            f"{path} is an .npz archive, from which only vgg16 and vgg19 can be read, not {network_id}"
        )
    errors = []
    candidates: tuple[Literal["vgg16", "vgg19"], ...] = ("vgg19", "vgg16")
    for candidate in candidates:
        if network_id not in (None, candidate):
            continue
        try:
            params, convention = read_npz_vgg(path, candidate)
        except UserError as error:
            errors.append(str(error))
        else:
            info = CAFFE_VGG if convention == "caffe" else pretrained_info(candidate)
            return StoredNetwork(
                candidate, {"layers": list(params)}, {"params": params}, license=info.license, convention=convention
            )
    raise ConversionError(errors[0])


def _check_convention(networks: Sequence[StoredNetwork], files: Mapping[str, str]) -> None:
    """Checks that ERRNet does not get the VGG-19 that it was not trained with."""
    caffe = [files[network.id] for network in networks if network.convention == "caffe"]
    if caffe and any(network.id.startswith("errnet/") for network in networks):
        raise ConversionError(
            f"{', '.join(caffe)} contains the Caffe weights of VGG-19, which expect BGR from 0 to 255; "
            "ERRNet was trained with torchvision's: give vgg19-dcbb9e9d.pth"
        )


def _source(network: StoredNetwork) -> PretrainedInfo:
    return CAFFE_VGG if network.convention == "caffe" else pretrained_info(network.id)


def _join(
    networks: Sequence[StoredNetwork],
    files: Sequence[str],
    models: Sequence[Model],
    model_args: Mapping[str, Any],
    facts: Sequence[str],
) -> Model:
    """Joins networks; those of `models` keep the license and the description of their files."""
    by_role: dict[str, StoredNetwork] = {}
    for network in networks:
        role = network.id.split("/")[-1]
        if role in by_role:
            raise ConversionError(
                f"{network.id} and {by_role[role].id} have the same role in a model file; convert them separately"
            )
        by_role[role] = network
    families = list(dict.fromkeys(network.id.split("/")[0] for network in networks if "/" in network.id))
    if len(families) > 1:
        raise ConversionError(
            f"the files contain networks of several systems ({', '.join(families)}); convert them one by one"
        )
    known = [network for model in models for network in model.networks.values()]
    new = [network for network in networks if not any(network is other for other in known)]
    sources = list(dict.fromkeys(_source(network) for network in new))
    by = [f"by {', '.join(source.repository or 'sirr_jax' for source in sources)}"] if sources else []
    assumptions = [text for network in new for text in _describe_assumptions(network, model_args)]
    licenses = dict.fromkeys([source.license for source in sources] + [model.license for model in models])
    return Model(
        families[0] if families else networks[0].id,
        by_role,
        license="; ".join(licenses),
        description="; ".join(
            [f"converted from {', '.join(files)}", *by, *facts, *assumptions, *(model.description for model in models)]
        ),
    )
