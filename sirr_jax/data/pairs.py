"""Real pairs on disk: `ROOT/{blended,transmission_layer[,reflection_layer]}/<picture>`."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np

from sirr_jax.data.files import FileReader, OnCorrupt
from sirr_jax.data.layer_folders import check_equal_sizes, check_same_size, find_layers


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
    """The pairs in a folder, in natural order of their names.

    A folder `reflection_layer` is held to the same names and sizes as the other two, and not read: a
    photograph of the reflection alone is no training target here.
    """

    def __init__(self, root: str | Path, *, crop: int = 1, on_corrupt: OnCorrupt = "error") -> None:
        """Finds the pairs and checks their names, headers and sizes.

        Args:
          root: The folder that holds the layers' folders.
          crop: Shortest side an image may have, in pixels.
          on_corrupt: What to do with an image that cannot be decoded: "error" raises; "skip" logs one warning
            per file and `read` gives the next readable pair instead.

        Raises:
          UserError: A layer's folder is missing or without images, the layers' names differ, the images of a
            pair differ in size or are smaller than the crop, a header is unreadable and `on_corrupt` is
            "error".
        """
        root = Path(root)
        self._reader = FileReader(root, on_corrupt)
        layers = find_layers(root, required=("blended", "transmission_layer"), optional="reflection_layer")
        self._pairs = list(zip(layers["blended"], layers["transmission_layer"], strict=True))
        for paths in zip(*layers.values(), strict=True):
            check_same_size(self._reader, paths, crop)

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
