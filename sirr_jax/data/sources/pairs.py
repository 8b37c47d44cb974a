"""Real pairs: in folders `{blended,transmission_layer[,reflection_layer]}`, of any known set, or packed."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np

from sirr_jax.data.find_dataset import find_set
from sirr_jax.data.images.image_file import ImageFile
from sirr_jax.data.images.reader import FileReader, OnCorrupt
from sirr_jax.data.layouts.layer_folders import check_equal_sizes, check_same_size, find_layers
from sirr_jax.errors import UserError

_FOLDERS = {"mixture": "blended", "transmission": "transmission_layer", "reflection": "reflection_layer"}


class PairSource(Protocol):
    """Pairs by index. Reading must depend on the index alone and be safe from several threads."""

    def __len__(self) -> int:
        """Number of pairs."""
        ...

    def name(self, index: int) -> str:
        """What messages call a pair."""
        ...

    def read(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Decodes the blended image and its transmission layer: uint8 `[height, width, 3]`, of one size."""
        ...


class FolderPairs:
    """The pairs of a set, in natural order of their names.

    The set is a folder that holds `blended/` and `transmission_layer/`, or any set that `data.find_dataset` finds
    whose pictures have a mixture and a transmission; `ROOT#PART` chooses a part. A reflection layer is held to the same
    names and sizes as the other two, and not read: a photograph of the reflection alone is no training target here.
    """

    def __init__(self, root: str | Path, *, crop: int = 1, on_corrupt: OnCorrupt = "error") -> None:
        """Finds the pairs and checks their names, headers and sizes.

        Args:
          root: The set.
          crop: Shortest side an image may have, in pixels.
          on_corrupt: What to do with an image that cannot be decoded, lacks its partner, or is too small or of
            another size than its partner: "error" raises; "skip" logs one warning per file and leaves the pair out
            (`read` gives the next readable pair in the place of one that cannot be decoded).

        Raises:
          UserError: There is no such set, or its pictures are no pairs; a layer's folder is missing or without
            images, the layers' names differ, the images of a pair differ in size or are smaller than the crop, a
            header is unreadable and `on_corrupt` is "error".
        """
        root = Path(root)
        self._reader = FileReader(root, on_corrupt)
        self._pairs: list[tuple[ImageFile, ImageFile]] = []
        for files in _pictures(root, skip=on_corrupt == "skip"):
            try:
                check_same_size(self._reader, list(files.values()), crop)
            except UserError as error:
                self._reader.leave_out(files["mixture"], error)
            else:
                self._pairs.append((files["mixture"], files["transmission"]))
        if not self._pairs:
            raise UserError(f"{root}: not one pair is left; `sirr data check {root}` says what is wrong with them")

    def __len__(self) -> int:
        return len(self._pairs)

    def name(self, index: int) -> str:
        """Path of a pair's blended image."""
        return str(self._pairs[index][0])

    def read(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Decodes the blended image and its transmission layer, both uint8 `[height, width, 3]`.

        Raises:
          UserError: An image cannot be decoded and `on_corrupt` is "error", or no pair can be; the decoded
            sizes differ.
        """
        return self._reader.first_readable(index, len(self), self._read_pair)

    def _read_pair(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        paths = self._pairs[index]
        blended, transmission = (self._reader.image(path) for path in paths)
        check_equal_sizes({paths[0]: blended.shape[:2], paths[1]: transmission.shape[:2]})
        return blended, transmission


def _pictures(root: Path, *, skip: bool) -> list[dict[str, ImageFile]]:
    """Layer to file, of every picture."""
    if not skip and any((root / folder).is_dir() for folder in _FOLDERS.values()):
        # Our own layout: the message about a folder that is missing names it.
        required = (_FOLDERS["mixture"], _FOLDERS["transmission"])
        found = find_layers(root, required=required, optional=_FOLDERS["reflection"])
        layers = {layer: found[folder] for layer, folder in _FOLDERS.items() if folder in found}
        return [dict(zip(layers, files, strict=True)) for files in zip(*layers.values(), strict=True)]
    found_set = find_set(root, skip=skip)
    pictures = [
        {layer: file for layer, file in entry.files.items() if layer in _FOLDERS} for entry in found_set.only_part()
    ]
    for files in pictures:
        if not {"mixture", "transmission"} <= files.keys():
            raise UserError(
                f"{root}: {found_set.layout.title}, whose pictures have {', '.join(files) or 'no such layers'}; "
                "expected pairs: a mixture and its transmission"
            )
    return pictures
