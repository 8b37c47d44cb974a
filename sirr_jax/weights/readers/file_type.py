"""What kind of file lies there, told by its first bytes, never by its name."""

from __future__ import annotations

import re
import struct
import zipfile
from pathlib import Path
from typing import Literal

from sirr_jax.weights.errors import ConversionError

Kind = Literal["torch", "safetensors", "hdf5", "npz"]
_NAMES = {"torch": "a PyTorch file", "safetensors": "safetensors", "hdf5": "an HDF5 file", "npz": "an .npz archive"}


def detect_file_type(path: Path) -> Kind:
    """Tell the kind of a weight file.

    Raises:
        ConversionError: if it is missing, empty, or something that downloads leave behind instead of weights.
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
        raise ConversionError(f"{path} is a web page, not weights: the download failed; open its link in a browser")
    if head.startswith(b"version https://git-lfs"):
        raise ConversionError(
            f"{path} is a Git LFS pointer, not the file itself; run `git lfs pull` where it came from"
        )
    # First: eight bytes that count a header may look like the beginning of anything else.
    if head[8:9] == b"{":
        (length,) = struct.unpack("<Q", head[:8])
        if length <= size - 8:
            return "safetensors"
    if head.startswith(b"\x89HDF\r\n\x1a\n"):
        return "hdf5"
    if head.startswith(b"PK"):
        return _kind_of_zip(path)
    if head[0] == 0x80 and len(head) > 1 and head[1] <= 5:
        return "torch"
    if head[8:9] == b"{":
        raise ConversionError(
            f"{path} looks like safetensors, but its header claims {length} bytes of {size}; download it again"
        )
    if head.startswith(b"\x1f\x8b") or head[257:262] == b"ustar":
        raise ConversionError(f"{path} is a compressed or tar archive; unpack it and give the weight file inside")
    raise ConversionError(
        f"{path} is no weight file that is known here (PyTorch, safetensors, Keras .h5, .npz); it starts with "
        f"{head[:16]!r}; perhaps the download is damaged"
    )


def expect(path: Path, kind: Kind) -> None:
    """Refuse a file of another kind.

    Raises:
        ConversionError: says what the file is instead.
    """
    found = detect_file_type(path)
    if found != kind:
        raise ConversionError(f"{path} is {_NAMES[found]}; expected {_NAMES[kind]}")


def _kind_of_zip(path: Path) -> Kind:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except Exception as error:  # zipfile's parser raises half a dozen types on damage
        raise ConversionError(f"{path} is a truncated or damaged zip archive; download it again") from error
    if names and all(name.endswith(".npy") for name in names):
        return "npz"
    if any(name.endswith("data.pkl") for name in names):
        return "torch"
    raise ConversionError(f"{path} is a zip archive without weights; unpack it and give the weight file inside")
