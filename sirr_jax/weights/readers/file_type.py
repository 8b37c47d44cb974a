"""Detection of a weight file's type by its first bytes, never by its name."""

from __future__ import annotations

import re
import struct
import zipfile
from pathlib import Path
from typing import Literal

from sirr_jax.weights.errors import ConversionError

FileType = Literal["torch", "safetensors", "hdf5", "npz"]
_NAMES = {"torch": "a PyTorch file", "safetensors": "safetensors", "hdf5": "an HDF5 file", "npz": "an .npz archive"}


def detect_file_type(path: Path) -> FileType:
    """Detects the type of a weight file.

    Args:
        path: file.

    Returns:
        "torch", "safetensors", "hdf5" or "npz".

    Raises:
        ConversionError: The file is missing, empty, of another type, or a leftover of a failed download.
    """
    if path.is_dir():
        raise ConversionError(f"{path} is a folder; give the weight file in it")
    if not path.is_file():
        raise ConversionError(f"no file at {path}; check the path")
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(512)
    if not head:
        raise ConversionError(f"{path} is empty; download it again")
    if re.match(rb"\s*(<!doctype|<html|<\?xml|<head|<script)", head, re.IGNORECASE):
        raise ConversionError(f"{path} is a web page, not weights: the download failed; download it in a browser")
    if head.startswith(b"version https://git-lfs"):
        raise ConversionError(f"{path} is a Git LFS pointer, not the file itself; run `git lfs pull` in its repository")
    # Check safetensors first: the eight bytes of its header length may equal the signature of any other type.
    if head[8:9] == b"{":
        (length,) = struct.unpack("<Q", head[:8])
        if length <= size - 8:
            return "safetensors"
    if head.startswith(b"\x89HDF\r\n\x1a\n"):
        return "hdf5"
    if head.startswith(b"PK"):
        return _detect_zip_type(path)
    if head[0] == 0x80 and len(head) > 1 and head[1] <= 5:
        return "torch"
    if head[8:9] == b"{":
        raise ConversionError(
            f"{path} looks like safetensors, but its header claims {length} bytes of {size}; download it again"
        )
    if head.startswith(b"\x1f\x8b") or head[257:262] == b"ustar":
        raise ConversionError(f"{path} is a compressed or tar archive; unpack it and give the weight file inside")
    raise ConversionError(
        f"{path} is no weight file of a known type (PyTorch, safetensors, Keras .h5, .npz); it starts with "
        f"{head[:16]!r}; download it again"
    )


def require_file_type(path: Path, file_type: FileType) -> None:
    """Checks the type of a weight file.

    Args:
        path: file.
        file_type: expected type.

    Raises:
        ConversionError: The file is missing or of another type.
    """
    actual = detect_file_type(path)
    if actual != file_type:
        raise ConversionError(f"{path} is {_NAMES[actual]}; expected {_NAMES[file_type]}")


def _detect_zip_type(path: Path) -> FileType:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except Exception as error:  # damaged files raise many types in zipfile
        raise ConversionError(f"{path} is a truncated or damaged zip archive; download it again") from error
    if names and all(name.endswith(".npy") for name in names):
        return "npz"
    if any(name.endswith("data.pkl") for name in names):
        return "torch"
    raise ConversionError(f"{path} is a zip archive without weights; unpack it and give the weight file inside")
