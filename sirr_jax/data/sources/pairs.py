"""Real pairs of a mixture and its transmission: in folders, in any known layout, or in a TFDS set."""

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
    """Pairs by index. Reading must depend on the index alone and be thread-safe."""

    def __len__(self) -> int:
        """Returns the number of pairs."""
        ...

    def name(self, index: int) -> str:
        """Returns the name of a pair in messages."""
        ...

    def read(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Decodes mixture and transmission: uint8 `[height, width, 3]`, of the same size."""
        ...


class FolderPairs:
    """The pairs of a data set, in natural order of their names.

    The set is a folder with `blended/` and `transmission_layer/`, or any set that `data.find_dataset` finds and whose
    pictures have a mixture and a transmission; `ROOT#PART` selects a part. A reflection layer must have the same names
    and sizes as the other two, but is not read: a photo of the reflection alone is not a training target.
    """

    def __init__(self, root: str | Path, *, crop: int = 1, on_corrupt: OnCorrupt = "error") -> None:
        """Finds the pairs and checks their names, headers and sizes.

        Args:
            root: data set.
            crop: minimum short side of an image in pixels.
            on_corrupt: rule for images that cannot be decoded, lack their partner, are too small or differ in size from
                their partner. "error" raises an error; "skip" logs one warning per file and leaves the pair out (`read`
                returns the next readable pair instead of one that cannot be decoded).

        Raises:
            UserError: There is no such set, its pictures are not pairs, or no pair is left. With `on_corrupt` "error"
                also: the folder of a layer is missing or empty, the names of the layers differ, or an image has an
                unreadable header, a deviating size or a short side below the crop.
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
            raise UserError(f"{root}: no usable pair is left; `sirr data check {root}` lists the problems")

    def __len__(self) -> int:
        return len(self._pairs)

    def name(self, index: int) -> str:
        """Returns the path of the mixture of a pair."""
        return str(self._pairs[index][0])

    def read(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Decodes mixture and transmission, both uint8 `[height, width, 3]`.

        Raises:
            UserError: An image cannot be decoded and `on_corrupt` is "error", no pair can be decoded, or the decoded
                sizes differ.
        """
        return self._reader.first_readable(index, len(self), self._read_pair)

    def _read_pair(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        paths = self._pairs[index]
        mixture, transmission = (self._reader.image(path) for path in paths)
        check_equal_sizes({paths[0]: mixture.shape[:2], paths[1]: transmission.shape[:2]})
        return mixture, transmission


def _pictures(root: Path, *, skip: bool) -> list[dict[str, ImageFile]]:
    """Returns layer -> file of every picture."""
    if not skip and any((root / folder).is_dir() for folder in _FOLDERS.values()):
        # The layout of this project: an error about a missing folder names the folder.
        required = (_FOLDERS["mixture"], _FOLDERS["transmission"])
        by_folder = find_layers(root, required=required, optional=_FOLDERS["reflection"])
        layers = {layer: by_folder[folder] for layer, folder in _FOLDERS.items() if folder in by_folder}
        return [dict(zip(layers, files, strict=True)) for files in zip(*layers.values(), strict=True)]
    dataset = find_set(root, skip=skip)
    pictures = [
        {layer: file for layer, file in entry.files.items() if layer in _FOLDERS} for entry in dataset.only_part()
    ]
    for files in pictures:
        if not {"mixture", "transmission"} <= files.keys():
            raise UserError(
                f"{root}: {dataset.layout.title}, whose pictures have {', '.join(files) or 'no such layers'}; "
                "expected pairs of a mixture and its transmission"
            )
    return pictures
