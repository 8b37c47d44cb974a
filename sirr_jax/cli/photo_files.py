"""The photos that `sirr remove` reads and the files that it writes."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from sirr_jax.errors import UserError

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp")
"""Suffixes of photos in a folder and of results."""

_RESTORED, _REFLECTION = ".restored", ".reflection"


def find_photos(paths: list[Path]) -> list[Path]:
    """Lists photos: each file, and those of each folder, sorted, without hidden files and earlier results.

    Args:
        paths: files and folders.

    Raises:
        UserError: A path does not exist, or a folder has no photo.
    """
    photos: list[Path] = []
    for path in paths:
        if path.is_dir():
            files = sorted(p for p in path.iterdir() if _is_photo(p))
            if not files:
                raise UserError(
                    f"{path} holds no photograph; expected files ending in {', '.join(SUFFIXES)} (files named "
                    "*.restored.* are results)"
                )
            photos += files
        elif path.is_file():
            photos.append(path)
        else:
            raise UserError(f"no file or folder at {path}; check the path")
    return photos


def result_of(photo: Path, out: Path | None, *, several: bool) -> Path:
    """Returns the file of a restored photo.

    Args:
        photo: input file.
        out: value of --out: a file or a folder; None for the folder of the photo.
        several: whether there are several photos.

    Raises:
        UserError: `out` is one file for several photos, or has an unsupported suffix.
    """
    name = f"{photo.stem}{_RESTORED}.png"
    if out is None:
        return photo.with_name(name)
    suffix = out.suffix.lower()
    if suffix in SUFFIXES and not out.is_dir():
        if several:
            raise UserError(f"--out {out} is one file, but there are several photographs; give a folder")
        return out
    if suffix in Image.registered_extensions() and not out.is_dir():
        raise UserError(f"--out {out} has an unsupported suffix; choose {', '.join(SUFFIXES)}, or a folder")
    return out / name


def layer_of(result: Path) -> Path:
    """Returns the file of the reflection layer, beside the result."""
    return result.with_name(f"{result.stem}{_REFLECTION}{result.suffix}")


def make_folder(folder: Path) -> None:
    """Makes the folder of a result and checks that it is writable, before anything is computed.

    Raises:
        UserError: The folder cannot be made or written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot make the folder {folder} ({error.strerror}); choose another --out") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UserError(f"the folder {folder} is not writable; choose another --out")


def save(image: np.ndarray, path: Path, *, profile: bytes | None) -> None:
    """Writes an image, atomically.

    Args:
        image: [H, W, 3] in [0, 1]; clipped and rounded to 8 bits.
        path: file with one of `SUFFIXES`.
        profile: ICC profile of the image; None for none.
    """
    pixels = np.rint(np.clip(image, 0.0, 1.0) * 255.0).astype(np.uint8)
    options: dict[str, Any] = {"quality": 95} if path.suffix.lower() in (".jpg", ".jpeg") else {}
    if profile and path.suffix.lower() != ".bmp":
        options["icc_profile"] = profile
    # A short name: that of the photo may have the maximal length already.
    partial = path.with_name(f".{secrets.token_hex(4)}.partial{path.suffix}")
    try:
        Image.fromarray(pixels).save(partial, **options)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _is_photo(path: Path) -> bool:
    earlier = path.stem.endswith((_RESTORED, _RESTORED + _REFLECTION))
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and not earlier and path.is_file()
