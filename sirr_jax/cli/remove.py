"""`sirr remove`: photographs in, restored photographs out."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from sirr_jax.data.decode import read_image
from sirr_jax.errors import UserError

_MAX_SIDE = 1536
_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp")


def run(argv: list[str]) -> int:
    """Parse arguments and restore."""
    parser = argparse.ArgumentParser(
        prog="sirr remove",
        description="Remove the reflection from photographs. A file is written beside each input, or into --out.",
    )
    parser.add_argument("photos", nargs="+", type=Path, help="photographs, or folders of photographs")
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
        f"itself, or {_MAX_SIDE}; 0: never)",
    )
    parser.add_argument(
        "--self-ensemble",
        type=int,
        help="average the answers for this many symmetries of the photograph, 1, 2, 4 or 8, at as many times the "
        "network's time (default: what the model says of itself, or 1)",
    )
    parser.add_argument("--strength", type=float, default=1.0, help="0 keeps the photograph, 1 restores it (default)")
    parser.add_argument("--save-reflection", action="store_true", help="also write what was removed, made visible")
    parser.add_argument("--overwrite", action="store_true", help="replace existing results")
    args = parser.parse_args(argv)
    if not 0.0 <= args.strength <= 1.0:
        raise UserError(f"--strength is {args.strength:g}; give a number from 0 to 1")
    photos = _photos(args.photos)
    results = [_result(photo, args.out, several=len(photos) > 1) for photo in photos]
    layers = [result.with_name(f"{result.stem}.reflection{result.suffix}") for result in results]
    for i, result in enumerate(results):
        for file in (result, layers[i]) if args.save_reflection else (result,):
            if file.exists() and not args.overwrite:
                raise UserError(f"{file} exists; choose another --out or add --overwrite")
        if result in results[:i]:
            raise UserError(f"two photographs would both be written to {result}; restore them one by one")

    from sirr_jax.inference.restorer import PACKAGED, Restorer
    from sirr_jax.weights.model_file import load_model

    model = load_model(args.model or PACKAGED)
    limit = args.max_side if args.max_side is not None else model.max_side or _MAX_SIDE
    restorer = Restorer(model, max_side=limit, self_ensemble=args.self_ensemble)
    for photo, result, layer in zip(photos, results, layers, strict=True):
        image = read_image(photo).astype(np.float32) / np.float32(255)
        answer = restorer(image)
        restored = args.strength * answer.restored + (1.0 - args.strength) * image
        _save(restored, result)
        print(result)
        if args.save_reflection:
            removed = answer.reflection if answer.reflection is not None else np.abs(image - restored)
            _save(removed, layer)
            print(layer)
    return 0


def _photos(paths: list[Path]) -> list[Path]:
    photos: list[Path] = []
    for path in paths:
        if path.is_dir():
            found = sorted(p for p in path.iterdir() if p.suffix.lower() in _SUFFIXES)
            if not found:
                raise UserError(f"{path} holds no photograph; expected files ending in {', '.join(_SUFFIXES)}")
            photos += found
        elif path.is_file():
            photos.append(path)
        else:
            raise UserError(f"no file or folder at {path}; check the path")
    return photos


def _result(photo: Path, out: Path | None, *, several: bool) -> Path:
    name = f"{photo.stem}.restored.png"
    if out is None:
        return photo.with_name(name)
    if out.suffix.lower() in _SUFFIXES:
        if several:
            raise UserError(f"--out {out} is one file, but there are several photographs; give a folder")
        return out
    return out / name


def _save(image: np.ndarray, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.rint(np.clip(image, 0.0, 1.0) * 255.0).astype(np.uint8)
    partial = path.with_name(f".{path.stem}.partial{path.suffix}")
    Image.fromarray(pixels).save(partial, **({"quality": 95} if path.suffix.lower() in (".jpg", ".jpeg") else {}))
    partial.replace(path)
