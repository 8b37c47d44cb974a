"""Image files on disk and image files inside archives and TFDS sets."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from sirr_jax.data.images.label_spaces import LabelSpace


@dataclass(frozen=True, slots=True)
class PackedFile:
    """An encoded image inside an archive or a TFDS set, loaded on demand.

    Attributes:
        path: path of the file in the unpacked data set, for messages; no such file exists.
        size: height and width in pixels, as a viewer shows the picture; None to read them from the header.
        load: function that returns the encoded bytes. Thread-safe.
        labels: label space of a label image; None for photos.
        stream: function that opens the file to read only a part of it; None if it must be loaded as a whole.
    """

    path: Path
    size: tuple[int, int] | None
    load: Callable[[], bytes] = field(compare=False, repr=False)
    labels: LabelSpace | None = None
    stream: Callable[[], BinaryIO] | None = field(default=None, compare=False, repr=False)

    def __str__(self) -> str:
        return str(self.path)

    def open(self) -> BinaryIO:
        """Returns the encoded file as a stream in memory."""
        return io.BytesIO(self.load())

    def open_header(self) -> BinaryIO:
        """Returns a stream for reading the first bytes; the rest is not loaded where that can be avoided."""
        return self.stream() if self.stream is not None else self.open()


ImageFile = Path | PackedFile
"""A file on disk or inside an archive or a TFDS set."""


def path_of(file: ImageFile) -> Path:
    """Returns the path that names a file in messages."""
    return file.path if isinstance(file, PackedFile) else file


def relative_name(file: ImageFile, root: Path) -> str:
    """Returns the path of a file inside its data set, with `/`; the mere name for a file elsewhere."""
    path = path_of(file)
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name
