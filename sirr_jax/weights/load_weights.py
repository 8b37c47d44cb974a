"""Reads weight files of any type as the networks of one model."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from sirr_jax.errors import UserError
from sirr_jax.models.registry import NETWORKS, build
from sirr_jax.models.vgg import CAFFE_VGG
from sirr_jax.weights.convert import from_torch
from sirr_jax.weights.errors import ConversionError
from sirr_jax.weights.key_maps import key_map
from sirr_jax.weights.metadata import read_metadata
from sirr_jax.weights.model_file import Model, StoredNetwork, build_model
from sirr_jax.weights.multi_file import assemble
from sirr_jax.weights.pretrained_vgg import read_vgg
from sirr_jax.weights.readers.checkpoint_unwrap import strip_prefixes
from sirr_jax.weights.readers.file_type import detect_file_type
from sirr_jax.weights.readers.safetensors_file import read_safetensors
from sirr_jax.weights.readers.torch_file import read_torch


def load_weights(
    paths: Sequence[str | Path],
    *,
    network_id: str | None = None,
    part: str | None = None,
    model_args: Mapping[str, Any] | None = None,
) -> Model:
    """Reads weight files: PyTorch, safetensors (of sirr_jax and others), Keras `.h5` and, for VGG, `.npz`.

    Args:
        paths: files of one model: one network, the parts of one (IBCLN's G_T and G_R), or networks that work together
            (ERRNet and VGG-19).
        network_id: network id, if the files contain one network; None to detect it.
        part: name of a nested state dict, where a PyTorch file has several; role of the network to select, where the
            only file is a model file.
        model_args: model arguments that the shapes of the weights do not determine.

    Returns:
        The model. License and description are those of the networks' authors. The description also lists the
        arguments that neither the weights nor `model_args` determine, with the values assumed.

    Raises:
        ConversionError: A file is unreadable, or its contents are unknown, incomplete or of another network.
        UserError: The id is unknown, or a package that the file type needs is not installed.
    """
    args = dict(model_args or {})
    models: list[Model] = []
    networks: list[StoredNetwork] = []
    state_dicts: list[tuple[str, Mapping[str, Any]]] = []
    caffe: dict[str, str] = {}
    for path in map(Path, paths):
        file_type = detect_file_type(path)
        if file_type == "safetensors":
            arrays, metadata = read_safetensors(path)
            if (rebuild := read_metadata(metadata)) is not None:
                model = build_model(rebuild, arrays, path)
                if len(paths) == 1:
                    return _select(model, path, network_id, part, model_args)
                models.append(model)
                networks += model.networks.values()
            else:
                state_dicts.append((path.name, strip_prefixes(arrays)))
        elif file_type == "torch":
            state_dict = read_torch(path, part=part)
            if any(isinstance(value, Mapping) for value in state_dict.values()):
                raise ConversionError(
                    f"{path} contains several state dicts: {', '.join(state_dict)}; name one of them "
                    f"(--part {next(iter(state_dict))})"
                )
            state_dicts.append((path.name, state_dict))
        elif file_type == "hdf5":
            from sirr_jax.weights.keras.convert import detect_keras, from_keras

            keras_id, keras_args = (network_id, {}) if network_id else detect_keras(path)
            keras_args = {**keras_args, **_accepted(keras_id, args)}
            networks.append(StoredNetwork(keras_id, keras_args, from_keras(keras_id, path, **keras_args)))
        else:
            networks.append(_read_npz(path, network_id))
        if file_type in ("hdf5", "npz") and networks[-1].id.startswith("vgg"):
            caffe[networks[-1].id] = path.name
    for assembled in assemble(state_dicts, network_id):
        torch_args = {**assembled.model_args, **_accepted(assembled.network_id, args)}
        try:
            variables = from_torch(assembled.network_id, assembled.state_dict, **torch_args)
        except ConversionError as error:
            raise error.about(", ".join(assembled.sources)) from error
        networks.append(StoredNetwork(assembled.network_id, torch_args, variables))
    _check_args(networks, args)
    return _join(networks, [Path(path).name for path in paths], caffe, models, args)


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
            weights = read_vgg(path, candidate)
        except UserError as error:
            errors.append(str(error))
        else:
            return StoredNetwork(candidate, {"layers": list(weights.layers)}, {"params": weights.params})
    raise ConversionError(errors[0])


def _join(
    networks: Sequence[StoredNetwork],
    files: Sequence[str],
    caffe: Mapping[str, str],
    models: Sequence[Model],
    model_args: Mapping[str, Any],
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
    if families == ["errnet"] and caffe:
        raise ConversionError(
            f"{', '.join(caffe.values())} contains the Caffe weights of VGG-19, which expect BGR from 0 to 255; "
            "ERRNet was trained with torchvision's: give vgg19-dcbb9e9d.pth"
        )
    known = [network for model in models for network in model.networks.values()]
    new = [network for network in networks if not any(network is other for other in known)]
    sources = list(
        dict.fromkeys(CAFFE_VGG if network.id in caffe else NETWORKS.find(network.id).source for network in new)
    )
    by = [f"by {', '.join(source.repository or 'sirr_jax' for source in sources)}"] if sources else []
    assumptions = [text for network in new for text in _describe_assumptions(network, model_args)]
    licenses = dict.fromkeys([source.license for source in sources] + [model.license for model in models])
    return Model(
        families[0] if families else networks[0].id,
        by_role,
        license="; ".join(licenses),
        description="; ".join(
            [f"converted from {', '.join(files)}", *by, *assumptions, *(model.description for model in models)]
        ),
    )
