"""Decoded photos in one array, to be stored on accelerators."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from sirr_jax.data.images.cpu_count import usable_cores
from sirr_jax.data.sources.photos import PhotoSource
from sirr_jax.errors import UserError


class PreloadedPhotos:
    """A `PhotoSource` whose photos are all decoded in advance.

    Attributes:
        table: uint8 `[N, H, W, 3]`; photos are aligned at the top left and padded with zeros.
    """

    def __init__(self, photos: PhotoSource, *, limit_bytes: int = 8 * 2**30) -> None:
        """Decodes all photos.

        Args:
            photos: source of the photos.
            limit_bytes: largest size of the table in bytes.

        Raises:
            UserError: A photo cannot be decoded, or the photos exceed the limit.
        """
        self._photos = photos
        with ThreadPoolExecutor(usable_cores()) as pool:
            # The sizes in the headers do not suffice: a damaged file is replaced by the next photo.
            decoded = _collect(pool.map(photos.read, range(len(photos))), limit_bytes)
        self._sizes = [photo.shape[:2] for photo in decoded]
        height, width = (max(sides) for sides in zip(*self._sizes, strict=True))
        _check_size(len(decoded) * height * width * 3, limit_bytes)
        self.table = np.zeros((len(decoded), height, width, 3), np.uint8)
        for place, photo in zip(self.table, decoded, strict=True):
            place[: photo.shape[0], : photo.shape[1]] = photo
        self.table.flags.writeable = False

    def __len__(self) -> int:
        return len(self._photos)

    def name(self, index: int) -> str:
        """Returns the name of a photo in messages."""
        return self._photos.name(index)

    def read(self, index: int) -> np.ndarray:
        """Returns the photo, uint8 `[height, width, 3]`, as a view of the table."""
        height, width = self._sizes[index]
        return self.table[index, :height, :width]


def _collect(photos: Iterable[np.ndarray], limit_bytes: int) -> list[np.ndarray]:
    decoded, used = [], 0
    for photo in photos:
        decoded.append(photo)
        used += photo.nbytes
        _check_size(used, limit_bytes)
    return decoded


def _check_size(size: int, limit_bytes: int) -> None:
    if size > limit_bytes:
        raise UserError(
            f"config.data.loader=device: the decoded photos take more than {limit_bytes / 2**30:.2g} GiB; use smaller "
            "photos (scripts/zip_photos.py --side) or config.data.loader=threads"
        )
