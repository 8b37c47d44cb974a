"""Photos whose pixels encode their position and a label, and files of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def labelled_photo(label: int, height: int, width: int) -> np.ndarray:
    """Returns uint8 [height, width, 3] with pixels (row, column, label)."""
    rows, columns = np.mgrid[:height, :width].astype(np.uint8)
    return np.stack([rows, columns, np.full_like(rows, label)], axis=-1)


def write(path: Path, image: np.ndarray) -> Path:
    """Writes an image file and its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path)
    return path


def write_sequence(folder: Path, frames: int, *, first_label: int, reflection: bool, size=(24, 30)) -> None:
    """Writes a sequence; the layers of a frame have the labels first_label + frame, + 100 and + 200."""
    layers = {"blended": 0, "transmission": 100} | ({"reflection": 200} if reflection else {})
    for layer, offset in layers.items():
        for frame in range(frames):
            write(folder / layer / f"{frame + 8}.png", labelled_photo(first_label + frame + offset, *size))


def truncate(path: Path, keep: float = 0.6) -> None:
    """Truncates a file after its header."""
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])
