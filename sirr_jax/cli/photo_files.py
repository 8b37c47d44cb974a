"""Which photographs `sirr remove` restores, and the files that it writes."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import numpy as np
from PIL import Image

from sirr_jax.errors import UserError

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp")
"""Of photographs in a folder, and of results."""

_RESTORED, _REFLECTION = ".restored", ".reflection"


def find_photos(paths: list[Path]) -> list[Path]:
    """Files as they are given, and the photographs of folders: neither hidden files nor earlier results.

    Raises:
        UserError: if there is nothing at a path, or a folder has no photograph.
    """
    photos: list[Path] = []
    for path in paths:
        if path.is_dir():
            found = sorted(p for p in path.iterdir() if _is_photo(p))
            if not found:
                raise UserError(
                    f"{path} holds no photograph; expected files ending in {', '.join(SUFFIXES)} (what is named "
                    "*.restored.* counts as a result)"
                )
            photos += found
        elif path.is_file():
            photos.append(path)
        else:
            raise UserError(f"no file or folder at {path}; check the path")
    return photos


def result_of(photo: Path, out: Path | None, *, several: bool) -> Path:
    """Where the restored photograph goes.

    Raises:
        UserError: if `out` is one file for several photographs, or of a kind that is not written.
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
        raise UserError(f"--out {out} is of a kind that is not written; choose {', '.join(SUFFIXES)}, or a folder")
    return out / name


def layer_of(result: Path) -> Path:
    """Where the layer that was removed goes, beside the result."""
    return result.with_name(f"{result.stem}{_REFLECTION}{result.suffix}")


def make_folder(folder: Path) -> None:
    """Make the folder of a result and see that it takes files, before anything is computed.

    Raises:
        UserError: if it cannot be.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot make the folder {folder} ({error.strerror}); choose another --out") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UserError(f"the folder {folder} cannot be written to; choose another --out")


def save(image: np.ndarray, path: Path, *, profile: bytes | None) -> None:
    """Write an image whole or not at all.

    Args:
        image: [H, W, 3] in [0, 1]; clipped and rounded to 8 bits.
        path: ends in one of `SUFFIXES`.
        profile: its ICC profile.
    """
    pixels = np.rint(np.clip(image, 0.0, 1.0) * 255.0).astype(np.uint8)
    options = {"quality": 95} if path.suffix.lower() in (".jpg", ".jpeg") else {}
    if profile and path.suffix.lower() != ".bmp":
        options["icc_profile"] = profile
    partial = path.with_name(f".{secrets.token_hex(4)}.partial{path.suffix}")  # short: names may be as long as can be
    try:
        Image.fromarray(pixels).save(partial, **options)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _is_photo(path: Path) -> bool:
    earlier = path.stem.endswith((_RESTORED, _RESTORED + _REFLECTION))
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and not earlier and path.is_file()
