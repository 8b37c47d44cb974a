"""Photographs as one array, to be held by accelerators."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from sirr_jax.data.images.cpu_count import usable_cores
from sirr_jax.data.sources.photos import PhotoSource
from sirr_jax.errors import UserError


class PreloadedPhotos:
    """Photographs that have all been decoded; a `PhotoSource`.

    Attributes:
      table: uint8 `[N, H, W, 3]`; each photograph at the top left, zeros around it.
    """

    def __init__(self, photos: PhotoSource, *, limit_bytes: int = 8 * 2**30) -> None:
        """Decodes all photographs.

        Args:
          photos: Where they come from.
          limit_bytes: Largest size of the table.

        Raises:
          UserError: A photograph cannot be decoded, or they take more than the limit.
        """
        self._photos = photos
        with ThreadPoolExecutor(usable_cores()) as pool:
            # The headers' sizes would do for most, but a damaged file stands for the next one.
            decoded = _within(pool.map(photos.read, range(len(photos))), limit_bytes)
        self._sizes = [photo.shape[:2] for photo in decoded]
        height, width = (max(sides) for sides in zip(*self._sizes, strict=True))
        _check(len(decoded) * height * width * 3, limit_bytes)
        self.table = np.zeros((len(decoded), height, width, 3), np.uint8)
        for place, photo in zip(self.table, decoded, strict=True):
            place[: photo.shape[0], : photo.shape[1]] = photo
        self.table.flags.writeable = False

    def __len__(self) -> int:
        return len(self._photos)

    def name(self, index: int) -> str:
        """What messages call a photograph."""
        return self._photos.name(index)

    def read(self, index: int) -> np.ndarray:
        """The photograph uint8 `[height, width, 3]`, a view of the table."""
        height, width = self._sizes[index]
        return self.table[index, :height, :width]


def _within(photos: Iterable[np.ndarray], limit_bytes: int) -> list[np.ndarray]:
    kept, used = [], 0
    for photo in photos:
        kept.append(photo)
        used += photo.nbytes
        _check(used, limit_bytes)
    return kept


def _check(size: int, limit_bytes: int) -> None:
    if size > limit_bytes:
        raise UserError(
            f"data.loader=device: the decoded photographs take more than {limit_bytes / 2**30:.2g} GiB; give smaller "
            "ones (scripts/zip_photos.py --side), or data.loader=threads"
        )
