"""`sirr convert`: converts published weights to model files and back."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sirr_jax.cli.argument_parser import ArgumentParser
from sirr_jax.cli.values import parse_values
from sirr_jax.errors import UserError

if TYPE_CHECKING:
    from sirr_jax.weights.model_file import Model

_TORCH_SUFFIXES = (".pth", ".pt", ".ckpt", ".pkl", ".bin", ".tar")
_KERAS_SUFFIXES = (".h5", ".hdf5")


def parser() -> argparse.ArgumentParser:
    """Returns the command line of `sirr convert`."""
    result = ArgumentParser(
        prog="sirr convert",
        renamed={"--hyper": "--model-arg"},
        description="Convert weight files. SRC is a PyTorch file (zip or legacy; no code in it is executed), a "
        "safetensors file or a Keras .h5 file. Give several SRC where one model consists of several files (IBCLN: G_T "
        "and G_R; ERRNet: the generator and VGG-19). The suffix of DST selects the format: .safetensors (model file "
        "for `sirr remove`), .pth (PyTorch) or .h5 (Keras; edge_gan only).",
    )
    result.add_argument("sources", nargs="+", type=Path, metavar="SRC", help="weight files")
    result.add_argument("destination", type=Path, metavar="DST", help="file to write")
    result.add_argument(
        "--network", metavar="ID", help="network id of SRC, see `sirr models` (default: detected from the weights)"
    )
    result.add_argument(
        "--part",
        metavar="NAME",
        help="part to convert, where SRC has several: the name of weights in it (bg, netD, generator), 'live' for "
        "those that are no moving average, or the role of a network in a model file (default: the moving average of "
        "the known network, where there is one)",
    )
    result.add_argument(
        "--model-arg",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="argument of the network that cannot be detected from shapes; may be repeated",
    )
    result.add_argument(
        "--layout",
        choices=("flax", "torch"),
        help="arrays of a .safetensors DST: flax (a model file) or torch (a state dict) (default: flax)",
    )
    result.add_argument("--force", action="store_true", help="replace DST if it exists")
    return result


def run(argv: list[str]) -> int:
    """Parses arguments, converts, prints a summary."""
    args = parser().parse_args(argv)
    destination: Path = args.destination
    layout = args.layout or _layout(destination)
    if destination.exists() and not args.force:
        raise UserError(f"{destination} exists; choose another name or add --force")

    from sirr_jax.weights.load_weights import load_with_remarks
    from sirr_jax.weights.sha256 import sha256

    model, remarks = load_with_remarks(
        args.sources, network_id=args.network, part=args.part, model_args=parse_values("--model-arg", args.model_arg)
    )
    for network in model.networks.values():
        _print_groups(network.id, network.variables)
    written = _write(destination, model, layout, force=args.force)
    for role, network in model.networks.items():
        _print_summary(role, network.id, network.model_args, network.variables)
    _print_rows({"license": model.license, "description": model.description})
    for remark in [*remarks, *_lost(model, layout)]:
        _print_rows({"note": remark})
    for path in written:
        _print_rows({"written": str(path), "bytes": f"{path.stat().st_size:,}", "sha256": sha256(path)})
    return 0


def _layout(destination: Path) -> str:
    suffix = destination.suffix.lower()
    if suffix == ".safetensors":
        return "flax"
    if suffix in _TORCH_SUFFIXES:
        return "torch"
    if suffix in _KERAS_SUFFIXES:
        return "keras"
    raise UserError(f"DST is {destination}; give a name that ends in .safetensors, .pth or .h5")


def _write(destination: Path, model: Model, layout: str, *, force: bool) -> list[Path]:
    """Writes the model and returns the files. Checks all files before it writes the first."""
    from sirr_jax.weights.convert import to_torch
    from sirr_jax.weights.key_maps import key_map
    from sirr_jax.weights.model_file import save_model
    from sirr_jax.weights.torch_writer import write_torch

    if layout == "flax":
        if destination.suffix.lower() != ".safetensors":
            raise UserError(f"--layout flax writes .safetensors files; DST is {destination}")
        save_model(destination, model, overwrite=force)
        return [destination]
    if layout == "torch" and destination.suffix.lower() in _KERAS_SUFFIXES:
        raise UserError(f"--layout torch writes .safetensors or .pth files; DST is {destination}")
    if len(model.networks) > 1:
        raise UserError(
            f"SRC holds {', '.join(f'{role} ({network.id})' for role, network in model.networks.items())}; "
            f"a {layout} file holds one network; convert the sources one by one, or choose a network with --part"
        )
    (network,) = model.networks.values()
    if layout == "keras":
        from sirr_jax.weights.keras.convert import to_keras

        to_keras(network.id, network.variables, destination, overwrite=force, **network.model_args)
        return [destination]
    state_dict = to_torch(network.id, network.variables, **network.model_args)
    parts = key_map(network.id).parts
    files = {destination: state_dict}
    if parts:
        # As published: one file per part, without the prefix of the part.
        files = {
            destination.with_name(f"{destination.stem}_{part.strip('.')}{destination.suffix}"): {
                key.removeprefix(part): value for key, value in state_dict.items() if key.startswith(part)
            }
            for part in parts
        }
    for path in files:
        if path.exists() and not force:
            raise UserError(f"{path} exists; choose another name or add --force")
    for path, arrays in files.items():
        write_torch(path, arrays, overwrite=force)
    return list(files)


def _lost(model: Model, layout: str) -> list[str]:
    """Describes what a file of another layout than the project's cannot contain."""
    from sirr_jax.weights.key_maps import key_map

    if layout == "flax":
        return []
    lost = []
    for network in model.networks.values():
        lost += [
            f"DST does not contain {name}={value}; give --model-arg {name}={value} to convert it back"
            for name, value in network.model_args.items()
            if name in key_map(network.id).undetectable
        ]
        if network.convention == "caffe":
            lost.append(f"DST does not say that {network.id} expects Caffe's BGR from 0 to 255, not torchvision's RGB")
        if network.parents or network.steps is not None:
            lost.append(f"DST does not contain the license and the parents of {network.id}")
    return lost


def _print_groups(network_id: str, variables: Mapping[str, Any]) -> None:
    """Prints one line per group of tensors: the first two levels of the collections."""
    from sirr_jax.weights.variables import flatten

    groups: dict[str, list[np.ndarray]] = {}
    for path, array in flatten(variables).items():
        groups.setdefault(path[0] if path[0] == "passthrough" else "/".join(path[:2]), []).append(array)
    for name, arrays in groups.items():
        size = sum(array.size for array in arrays)
        print(f"{network_id}: {name}, {len(arrays)} tensors, {size:,} numbers", flush=True)


def _print_summary(role: str, network_id: str, model_args: Mapping[str, Any], variables: Mapping[str, Any]) -> None:
    from sirr_jax.weights.variables import flatten

    arrays = flatten(variables)
    dtypes = sorted({array.dtype.name for path, array in arrays.items() if path[0] != "passthrough"})
    parameters = sum(array.size for path, array in arrays.items() if path[0] == "params")
    model_arguments = "".join(f" {name}={value}" for name, value in model_args.items())
    _print_rows(
        {
            "network": f"{network_id}{model_arguments}" + (f" (as {role})" if role not in network_id else ""),
            "tensors": f"{len(arrays):,}",
            "parameters": f"{parameters:,}",
            "dtype": ", ".join(dtypes),
        }
    )


def _print_rows(rows: Mapping[str, str]) -> None:
    for name, value in rows.items():
        print(f"  {name:<13}{value}")
