"""`sirr remove`: photographs in, restored photographs out."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sirr_jax.cli.photo_files import find_photos, layer_of, make_folder, result_of, save
from sirr_jax.data.images.decode import read_image, read_profile
from sirr_jax.errors import UserError

if TYPE_CHECKING:
    from sirr_jax.inference.restorer import Restorer


def run(argv: list[str]) -> int:
    """Parse arguments and restore; 2 if any photograph could not be."""
    args = _parse(argv)
    photos = find_photos(args.photos)
    results = [result_of(photo, args.out, several=len(photos) > 1) for photo in photos]
    for i, result in enumerate(results):
        if result in results[:i]:
            raise UserError(f"two photographs would both be written to {result}; restore them one by one")
    todo = []
    for photo, result in zip(photos, results, strict=True):
        in_the_way = _in_the_way(result, args)
        if in_the_way and len(photos) == 1:
            raise UserError(f"{in_the_way} exists; choose another --out or add --overwrite")
        if in_the_way:
            print(f"sirr remove: {photo} is left out: {in_the_way} exists (--overwrite replaces it)", file=sys.stderr)
        else:
            todo.append((photo, result))
    for folder in dict.fromkeys(result.parent for _, result in todo):
        make_folder(folder)
    return _restore(todo, args) if todo else 0


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="sirr remove",
        description="Remove the reflection from photographs. A file is written beside each input, or into --out. Of "
        "several photographs those that have been restored already are left out.",
    )
    parser.add_argument(
        "photos",
        nargs="+",
        type=Path,
        help="photographs, or folders of them (but for *.restored.*)",
    )
    parser.add_argument(
        "--model",
        type=Path,
        help="a .safetensors file of a training run or of `sirr convert` (default: our own student)",
    )
    parser.add_argument("--out", type=Path, help="result file (one photograph) or folder (default: beside the input)")
    parser.add_argument(
        "--max-side",
        type=int,
        help="restore larger photographs by way of a copy whose longer side is this (default: what the model says of "
        "itself, or 1536; 0: never)",
    )
    parser.add_argument(
        "--self-ensemble",
        type=int,
        help="average the answers for this many symmetries of the photograph, 1, 2, 4 or 8, at as many times the "
        "network's time (default: what the model says of itself, or 1)",
    )
    parser.add_argument("--strength", type=float, default=1.0, help="0 keeps the photograph, 1 restores it (default)")
    parser.add_argument(
        "--save-reflection",
        action="store_true",
        help="also write the reflection layer that the network estimates or, where it estimates none, what was removed",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace existing results")
    args = parser.parse_args(argv)
    if not 0.0 <= args.strength <= 1.0:
        raise UserError(f"--strength is {args.strength:g}; give a number from 0 to 1")
    return args


def _in_the_way(result: Path, args: argparse.Namespace) -> Path | None:
    """What exists of the files that would be written, if it is not to be replaced."""
    for file in (result, layer_of(result)) if args.save_reflection else (result,):
        if file.is_dir():
            raise UserError(f"{file} is a folder; choose another --out")
        if os.path.lexists(file) and not args.overwrite:  # a link that leads nowhere yet is not ours either
            return file
    return None


def _restore(todo: Sequence[tuple[Path, Path]], args: argparse.Namespace) -> int:
    from sirr_jax.inference.restorer import load

    restorer = load(args.model, max_side=args.max_side, self_ensemble=args.self_ensemble)
    failed = 0
    for photo, result in todo:
        try:
            _restore_one(restorer, photo, result, args)
        except UserError as error:  # the others can be restored all the same
            words = str(error)
            print(f"sirr remove: {words if str(photo) in words else f'{photo}: {words}'}", file=sys.stderr)
            failed += 1
    if failed and len(todo) > 1:
        print(f"sirr remove: {failed} of {len(todo)} photographs could not be restored, see above", file=sys.stderr)
    return 2 if failed else 0


def _restore_one(restorer: Restorer, photo: Path, result: Path, args: argparse.Namespace) -> None:
    image = read_image(photo).astype(np.float32) / np.float32(255)
    profile = read_profile(photo)
    answer = restorer(image)
    restored = args.strength * answer.restored + (1.0 - args.strength) * image
    save(restored, result, profile=profile)
    print(result)
    if args.save_reflection:
        removed = answer.reflection if answer.reflection is not None else np.abs(image - restored)
        save(removed, layer_of(result), profile=profile)
        print(layer_of(result))
