"""A file inside a shard: what stands where a path stands when a data set is packed."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from sirr_jax.data.images.label_spaces import LabelSpace


@dataclass(frozen=True, slots=True)
class PackedFile:
    """An encoded image inside a shard, read on demand.

    Attributes:
      path: Where the file would lie if the set were not packed, for messages; no such file exists.
      size: Height and width in pixels, as a viewer shows the picture.
      load: Reads the encoded bytes; safe from several threads.
      labels: What its values mean; None for pictures.
    """

    path: Path
    size: tuple[int, int]
    load: Callable[[], bytes] = field(compare=False, repr=False)
    labels: LabelSpace | None = None

    def __str__(self) -> str:
        return str(self.path)

    def open(self) -> BinaryIO:
        """Returns the encoded file, read from the shard."""
        return io.BytesIO(self.load())


ImageFile = Path | PackedFile
"""A file on disk or inside a shard."""


def place_of(file: ImageFile) -> Path:
    """The path to name a file by in messages."""
    return file.path if isinstance(file, PackedFile) else file
