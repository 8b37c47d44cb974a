"""`sirr convert`: published weights into model files, and back."""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sirr_jax.cli.values import parse_values
from sirr_jax.errors import UserError

_TORCH_SUFFIXES = (".pth", ".pt", ".pkl", ".bin")
_KERAS_SUFFIXES = (".h5", ".hdf5")


def run(argv: list[str]) -> int:
    """Parse arguments, convert, print what came of it."""
    args = _parse(argv)
    destination: Path = args.destination
    layout = args.layout or _layout(destination)
    if destination.exists() and not args.force:
        raise UserError(f"{destination} exists; choose another name or add --force")

    from sirr_jax.weights.load_weights import load_any
    from sirr_jax.weights.model_file import Model

    model: Model = load_any(
        args.sources, network_id=args.network, part=args.part, model_args=parse_values("--model-arg", args.model_arg)
    )
    for network in model.networks.values():
        _print_groups(network.id, network.variables)
    written = _write(destination, model, layout, force=args.force)
    for role, network in model.networks.items():
        _print_summary(role, network.id, network.model_args, network.variables)
    _print_rows({"license": model.license, "description": model.description})
    for path in written:
        _print_rows({"written": str(path), "bytes": f"{path.stat().st_size:,}", "sha256": _sha256(path)})
    return 0


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="sirr convert",
        description="Convert weight files. SRC is a PyTorch file (zip or legacy; nothing in it is executed), a "
        "safetensors file or a Keras .h5; several make up one model (IBCLN's G_T and G_R; ERRNet and VGG-19). DST ends "
        "in .safetensors (a model for `sirr remove`), .pth (for PyTorch) or .h5 (for Keras: edge_gan).",
    )
    parser.add_argument("sources", nargs="+", type=Path, metavar="SRC", help="weight files")
    parser.add_argument("destination", type=Path, metavar="DST", help="the file to write")
    parser.add_argument("--network", metavar="ID", help="what SRC is, if it is not to be detected; see `sirr models`")
    parser.add_argument(
        "--part",
        metavar="NAME",
        help="which of several: a state dict of a file (bg, netD), a model's network by its role",
    )
    parser.add_argument(
        "--model-arg",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a model argument that shapes do not tell",
    )
    parser.add_argument("--layout", choices=("flax", "torch"), help="of a .safetensors DST (default: flax, a model)")
    parser.add_argument("--force", action="store_true", help="replace DST")
    return parser.parse_args(argv)


def _layout(destination: Path) -> str:
    suffix = destination.suffix.lower()
    if suffix == ".safetensors":
        return "flax"
    if suffix in _TORCH_SUFFIXES:
        return "torch"
    if suffix in _KERAS_SUFFIXES:
        return "keras"
    raise UserError(f"DST is {destination}; give a name that ends in .safetensors, .pth or .h5")


def _write(destination: Path, model: Any, layout: str, *, force: bool) -> list[Path]:
    """Write the model; all files that are to be written are checked before the first one is."""
    from sirr_jax.weights.convert import to_torch
    from sirr_jax.weights.key_maps import key_map
    from sirr_jax.weights.model_file import save_model
    from sirr_jax.weights.torch_writer import write_torch

    if layout == "flax":
        if destination.suffix.lower() != ".safetensors":
            raise UserError(f"--layout flax writes models, which are .safetensors files; DST is {destination}")
        save_model(destination, model, overwrite=force)
        return [destination]
    if layout == "torch" and destination.suffix.lower() in _KERAS_SUFFIXES:
        raise UserError(f"--layout torch writes .safetensors or .pth files; DST is {destination}")
    if len(model.networks) > 1:
        raise UserError(
            f"SRC holds {', '.join(f'{role} ({network.id})' for role, network in model.networks.items())}; "
            f"{layout} files hold one network: convert the sources one by one, or name one of a model's with --part"
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
        # As published: one file for each part, without the part's prefix.
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


def _print_groups(network_id: str, variables: Mapping[str, Any]) -> None:
    """One line for each group of tensors: the collections' first two levels."""
    from sirr_jax.weights.variables import flatten

    groups: dict[str, list[np.ndarray]] = {}
    for path, array in flatten(variables).items():
        groups.setdefault(path[0] if path[0] == "passthrough" else "/".join(path[:2]), []).append(array)
    for name, arrays in groups.items():
        numbers = sum(array.size for array in arrays)
        print(f"{network_id}: {name}, {len(arrays)} tensors, {numbers:,} numbers", flush=True)


def _print_summary(role: str, network_id: str, model_args: Mapping[str, Any], variables: Mapping[str, Any]) -> None:
    from sirr_jax.weights.variables import flatten

    arrays = flatten(variables)
    kinds = sorted({array.dtype.name for path, array in arrays.items() if path[0] != "passthrough"})
    parameters = sum(array.size for path, array in arrays.items() if path[0] == "params")
    said = "".join(f" {name}={value}" for name, value in model_args.items())
    _print_rows(
        {
            "network": f"{network_id}{said}" + (f" (as {role})" if role not in network_id else ""),
            "tensors": f"{len(arrays):,}",
            "parameters": f"{parameters:,}",
            "dtype": ", ".join(kinds),
        }
    )


def _print_rows(rows: Mapping[str, str]) -> None:
    for name, value in rows.items():
        print(f"  {name:<13}{value}")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
