"""`sirr remove`: removes the reflection from photos."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sirr_jax.cli.argument_parser import ArgumentParser
from sirr_jax.cli.photo_files import find_photos, layer_of, make_folder, result_of, save
from sirr_jax.data.images.decode import read_image, read_profile
from sirr_jax.errors import UserError
from sirr_jax.inference.guided_resize import LEAST_MAX_SIDE
from sirr_jax.inference.self_ensemble import COUNTS

if TYPE_CHECKING:
    from sirr_jax.inference.restorer import Restorer


def parser() -> argparse.ArgumentParser:
    """Returns the command line of `sirr remove`."""
    result = ArgumentParser(
        prog="sirr remove",
        description="Remove the reflection from photos. Each result is written beside its photo as "
        "NAME.restored.png, or to --out. If several photos are given, those that have a result are skipped.",
    )
    result.add_argument(
        "photos",
        nargs="+",
        type=Path,
        metavar="PHOTO",
        help="photos, or folders of photos (*.restored.* are not read)",
    )
    result.add_argument(
        "--model",
        type=Path,
        metavar="FILE",
        help=".safetensors file of a training run or of `sirr convert` (default: the bundled student)",
    )
    result.add_argument(
        "--out", type=Path, metavar="PATH", help="result file (one photo) or folder (default: beside each photo)"
    )
    result.add_argument(
        "--max-side",
        type=int,
        metavar="N",
        help="photos with a longer side than N pixels are processed at reduced size: the model runs on a downscaled "
        "copy, and its residual is upscaled and added to the original, so fine detail is kept; 0: no limit (default: "
        "the model's recommended size, or 1536)",
    )
    result.add_argument(
        "--self-ensemble",
        type=int,
        choices=COUNTS,
        metavar="N",
        help="test-time augmentation: average the predictions over N flips and rotations (1, 2, 4 or 8); N times "
        "slower (default: the model's recommended number, or 1)",
    )
    result.add_argument(
        "--strength",
        type=float,
        default=1.0,
        metavar="X",
        help="blend of photo (0) and restored photo (1) (default: 1)",
    )
    result.add_argument(
        "--save-reflection",
        action="store_true",
        help="also write the estimated reflection layer; for networks that estimate none, the absolute difference of "
        "photo and result",
    )
    result.add_argument("--overwrite", action="store_true", help="replace existing results")
    return result


def run(argv: list[str]) -> int:
    """Parses arguments and restores the photos.

    Returns:
        Exit code: 0, or 2 if any photo could not be restored.
    """
    args = parser().parse_args(argv)
    if not 0.0 <= args.strength <= 1.0:
        raise UserError(f"--strength is {args.strength:g}; give a number from 0 to 1")
    if args.max_side and args.max_side < LEAST_MAX_SIDE:
        raise UserError(f"--max-side is {args.max_side}; choose {LEAST_MAX_SIDE} pixels or more, or 0 for no limit")
    photos = find_photos(args.photos)
    results = [result_of(photo, args.out, several=len(photos) > 1) for photo in photos]
    for i, result in enumerate(results):
        if result in results[:i]:
            raise UserError(f"two photographs would both be written to {result}; restore them one by one")
    todo = []
    for photo, result in zip(photos, results, strict=True):
        existing = _existing_file(result, args)
        if existing and len(photos) == 1:
            raise UserError(f"{existing} exists; choose another --out or add --overwrite")
        if existing:
            print(f"skipping {photo}: {existing} exists (--overwrite to replace)", file=sys.stderr)
        else:
            todo.append((photo, result))
    for folder in dict.fromkeys(result.parent for _, result in todo):
        make_folder(folder)
    return _restore(todo, args) if todo else 0


def _existing_file(result: Path, args: argparse.Namespace) -> Path | None:
    """Returns the first of the files to write that exists and must not be replaced."""
    for file in (result, layer_of(result)) if args.save_reflection else (result,):
        if file.is_dir():
            raise UserError(f"{file} is a folder; choose another --out")
        if os.path.lexists(file) and not args.overwrite:  # a broken link must not be replaced either
            return file
    return None


def _restore(todo: Sequence[tuple[Path, Path]], args: argparse.Namespace) -> int:
    from sirr_jax.inference.restorer import load

    restorer = load(args.model, max_side=args.max_side, self_ensemble=args.self_ensemble)
    failed = 0
    for photo, result in todo:
        try:
            _restore_one(restorer, photo, result, args)
        except UserError as error:  # go on with the others
            message = str(error)
            print(f"sirr remove: {message if str(photo) in message else f'{photo}: {message}'}", file=sys.stderr)
            failed += 1
    if failed and len(todo) > 1:
        print(f"sirr remove: {failed} of {len(todo)} photographs could not be restored; see above", file=sys.stderr)
    return 2 if failed else 0


def _restore_one(restorer: Restorer, photo: Path, result: Path, args: argparse.Namespace) -> None:
    image = read_image(photo).astype(np.float32) / np.float32(255)
    profile = read_profile(str(photo))
    outputs = restorer(image)
    restored = args.strength * outputs.restored + (1.0 - args.strength) * image
    save(restored, result, profile=profile)
    print(result)
    if args.save_reflection:
        reflection = outputs.reflection if outputs.reflection is not None else np.abs(image - restored)
        save(reflection, layer_of(result), profile=profile)
        print(layer_of(result))
