"""Weight files of any kind as the networks of one model."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sirr_jax.errors import UserError
from sirr_jax.models import build
from sirr_jax.weights.convert import from_torch
from sirr_jax.weights.errors import ConversionError
from sirr_jax.weights.key_maps import key_map
from sirr_jax.weights.metadata import read_metadata
from sirr_jax.weights.model_file import Model, StoredNetwork, build_model
from sirr_jax.weights.multi_file import assemble
from sirr_jax.weights.pretrained_vgg import read_vgg
from sirr_jax.weights.provenance import CAFFE_VGG, pretrained_info
from sirr_jax.weights.readers.checkpoint_unwrap import strip_prefixes
from sirr_jax.weights.readers.file_type import detect_file_type
from sirr_jax.weights.readers.safetensors_file import read_safetensors
from sirr_jax.weights.readers.torch_file import read_torch


def load_any(
    paths: Sequence[str | Path],
    *,
    network_id: str | None = None,
    part: str | None = None,
    model_args: Mapping[str, Any] | None = None,
) -> Model:
    """Read weight files of any kind: PyTorch, safetensors (ours and others'), Keras `.h5`.

    Args:
        paths: files that make up one model: one network, the parts of one (IBCLN's G_T and G_R), or the networks that
            work together (ERRNet's and VGG-19).
        network_id: what the files hold, if they hold one network; None to detect it.
        part: the name of a nested state dict, where a file has several; of one model file, the role of the network
            that is wanted.
        model_args: arguments that shapes do not tell.

    Returns:
        A model; its license and description are those of the networks' authors. The description also names
        what the weights do not tell and `model_args` does not give.

    Raises:
        ConversionError: if a file is unreadable, or what it holds is unknown, incomplete or of another network.
    """
    given = dict(model_args or {})
    models: list[Model] = []
    networks: list[StoredNetwork] = []
    loose: list[tuple[str, Mapping[str, Any]]] = []
    caffe: dict[str, str] = {}
    for path in map(Path, paths):
        kind = detect_file_type(path)
        if kind == "safetensors":
            arrays, metadata = read_safetensors(path)
            if (rebuild := read_metadata(metadata)) is not None:
                model = build_model(rebuild, arrays, path)
                if len(paths) == 1:
                    return _chosen(model, path, network_id, part, model_args)
                models.append(model)
                networks += model.networks.values()
            else:
                loose.append((path.name, strip_prefixes(arrays)))
        elif kind == "torch":
            state_dict = read_torch(path, part=part)
            if any(isinstance(value, Mapping) for value in state_dict.values()):
                raise ConversionError(
                    f"{path} holds several state dicts: {', '.join(state_dict)}; name the one that you mean "
                    f"(--part {next(iter(state_dict))})"
                )
            loose.append((path.name, state_dict))
        elif kind == "hdf5":
            from sirr_jax.weights.keras.convert import detect_keras, from_keras

            found, said = (network_id, {}) if network_id else detect_keras(path)
            said = {**said, **_own(found, given)}
            networks.append(StoredNetwork(found, said, from_keras(found, path, **said)))
        else:
            networks.append(_read_npz(path, network_id))
        if kind in ("hdf5", "npz") and networks[-1].id.startswith("vgg"):
            caffe[networks[-1].id] = path.name
    for found in assemble(loose, network_id):
        said = {**found.model_args, **_own(found.network_id, given)}
        try:
            variables = from_torch(found.network_id, found.state_dict, **said)
        except ConversionError as error:
            raise error.about(", ".join(found.sources)) from error
        networks.append(StoredNetwork(found.network_id, said, variables))
    _check_given(networks, given)
    return _model(networks, [Path(path).name for path in paths], caffe, models, given)


def _own(network_id: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the arguments given that a network has."""
    names = {field.name for field in dataclasses.fields(build(network_id))}
    return {name: value for name, value in given.items() if name in names}


def _check_given(networks: Sequence[StoredNetwork], given: Mapping[str, Any]) -> None:
    for name in given:
        if not any(name in network.model_args for network in networks):
            held = ", ".join(network.id for network in networks)
            raise ConversionError(f"no argument of {held} is called {name!r}; leave --model-arg {name}=... out")


def _chosen(
    model: Model, path: Path, network_id: str | None, part: str | None, model_args: Mapping[str, Any] | None
) -> Model:
    """The model as it is, or with one of its networks alone."""
    if model_args:
        raise ConversionError(f"{path} is a model and says itself what its networks are; leave --model-arg out")
    chosen = {
        role: network
        for role, network in model.networks.items()
        if network_id in (None, network.id) and part in (None, role)
    }
    if not chosen:
        held = ", ".join(f"{role} ({network.id})" for role, network in model.networks.items())
        wanted = " and ".join(name for name in (network_id, part) if name)
        raise ConversionError(f"{path} holds {held}, not {wanted}; name one of these")
    return model._replace(networks=chosen)


def _assumed(network: StoredNetwork, given: Mapping[str, Any]) -> list[str]:
    """What weights do not tell and was not given, in words; a hypercolumn matters only where there is one."""
    module = build(network.id, **network.model_args)
    values = {name: getattr(module, name) for name in key_map(network.id).undetectable if name not in given}
    words = "{}'s {} taken to be {}, which weights do not tell"
    return [words.format(network.id, name, value) for name, value in values.items() if value]


def _read_npz(path: Path, network_id: str | None) -> StoredNetwork:
    """The only published networks in `.npz` archives are VGGs, in Keras's layout."""
    if network_id not in (None, "vgg16", "vgg19"):
        raise ConversionError(f"{path} is an .npz archive; only vgg16 and vgg19 are read from such, not {network_id}")
    errors = []
    for candidate in (network_id,) if network_id else ("vgg19", "vgg16"):
        try:
            weights = read_vgg(path, candidate)
        except UserError as error:
            errors.append(str(error))
        else:
            return StoredNetwork(candidate, {"layers": list(weights.layers)}, {"params": weights.params})
    raise ConversionError(errors[0])


def _model(
    networks: Sequence[StoredNetwork],
    files: Sequence[str],
    caffe: Mapping[str, str],
    models: Sequence[Model],
    given: Mapping[str, Any],
) -> Model:
    """Join networks; those of `models` keep the license and the description of their files."""
    by_role: dict[str, StoredNetwork] = {}
    for network in networks:
        role = network.id.split("/")[-1]
        if role in by_role:
            raise ConversionError(f"{network.id} and {by_role[role].id} cannot share a model file; convert them apart")
        by_role[role] = network
    families = list(dict.fromkeys(network.id.split("/")[0] for network in networks if "/" in network.id))
    if len(families) > 1:
        raise ConversionError(
            f"the files hold networks of several systems ({', '.join(families)}); convert them one by one"
        )
    if families == ["errnet"] and caffe:
        raise ConversionError(
            f"{', '.join(caffe.values())} holds the Caffe weights of VGG-19, which expect BGR from 0 to 255; "
            "ERRNet was trained with torchvision's (vgg19-dcbb9e9d.pth)"
        )
    known = [network for model in models for network in model.networks.values()]
    new = [network for network in networks if not any(network is other for other in known)]
    sources = list(dict.fromkeys(CAFFE_VGG if network.id in caffe else pretrained_info(network.id) for network in new))
    by = [f"by {', '.join(source.repository or 'sirr_jax' for source in sources)}"] if sources else []
    assumed = [words for network in new for words in _assumed(network, given)]
    licenses = dict.fromkeys([source.license for source in sources] + [model.license for model in models])
    return Model(
        families[0] if families else networks[0].id,
        by_role,
        license="; ".join(licenses),
        description="; ".join(
            [f"converted from {', '.join(files)}", *by, *assumed, *(model.description for model in models)]
        ),
    )
