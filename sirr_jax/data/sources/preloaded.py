"""Decoded photos in one array, to be stored on accelerators."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from sirr_jax.data.images.cpu_count import usable_cores
from sirr_jax.data.sources.photos import PhotoSource
from sirr_jax.data.sources.sheets import Place, Sheets, arrange
from sirr_jax.errors import UserError


class PreloadedPhotos:
    """A `PhotoSource` whose photos are all decoded in advance.

    Attributes:
        table: uint8 `[S, H, W, 3]`, sheets of photos; zero where there is none. Photos of one size have a sheet each.
        places: sheet, top row and left column of each photo.
    """

    def __init__(self, photos: PhotoSource, *, limit_bytes: int = 8 * 2**30) -> None:
        """Decodes all photos. The size of the table is known from the headers and checked first.

        Args:
            photos: source of the photos.
            limit_bytes: largest size of the table in bytes.

        Raises:
            UserError: The photos exceed the limit, or a photo cannot be decoded.
        """
        self._photos = photos
        headers = [photos.size(index) for index in range(len(photos))]
        known = {index: size for index, size in enumerate(headers) if size is not None}
        sheets = _arrange(known, limit_bytes)
        self.table = np.zeros((sheets.number, sheets.height, sheets.width, 3), np.uint8)
        places: dict[int, Place] = {}
        sizes: dict[int, tuple[int, int]] = {}
        others: dict[int, np.ndarray] = {}

        def load(index: int) -> None:
            photo = photos.read(index)
            size = photo.shape[:2]
            if size == known.get(index):
                _view(self.table, sheets.places[index], size)[:] = photo
                places[index], sizes[index] = sheets.places[index], size
            else:
                others[index] = photo  # the source replaces a damaged file by the next photo

        with ThreadPoolExecutor(usable_cores()) as pool:
            for _ in pool.map(load, range(len(photos))):
                pass
        for index in sorted(others):
            places[index], sizes[index] = self._place(index, others.pop(index), places, sizes, limit_bytes)
        self.places = tuple(places[index] for index in range(len(photos)))
        self._sizes = tuple(sizes[index] for index in range(len(photos)))
        self.table.flags.writeable = False

    def __len__(self) -> int:
        return len(self._photos)

    def name(self, index: int) -> str:
        """Returns the name of a photo in messages."""
        return self._photos.name(index)

    def size(self, index: int) -> tuple[int, int]:
        """Returns height and width of a photo."""
        return self._sizes[index]

    def read(self, index: int) -> np.ndarray:
        """Returns the photo, uint8 `[height, width, 3]`, as a view of the table."""
        return _view(self.table, self.places[index], self._sizes[index])

    def read_alone(self, index: int) -> np.ndarray:
        """Decodes this very photo again, also if unusable ones are skipped."""
        return self._photos.read_alone(index)

    def _place(
        self,
        index: int,
        photo: np.ndarray,
        places: dict[int, Place],
        sizes: dict[int, tuple[int, int]],
        limit_bytes: int,
    ) -> tuple[Place, tuple[int, int]]:
        """Returns the place of a photo that differs from its header: that of the same pixels, or a new one."""
        count = len(self._photos)
        for other in ((index + offset) % count for offset in range(1, count)):
            if sizes.get(other) == photo.shape[:2] and np.array_equal(
                _view(self.table, places[other], sizes[other]), photo
            ):
                return places[other], sizes[other]
        _, height, width, _ = self.table.shape
        rows, columns = photo.shape[:2]
        grown = Sheets(len(self.table) + 1, max(height, rows), max(width, columns), {})
        _check(grown, limit_bytes)
        bottom, right = grown.height - height, grown.width - width
        self.table = np.pad(self.table, ((0, 1), (0, bottom), (0, right), (0, 0)))
        place = Place(len(self.table) - 1, 0, 0)
        _view(self.table, place, (rows, columns))[:] = photo
        return place, (rows, columns)


def _view(table: np.ndarray, place: Place, size: tuple[int, int]) -> np.ndarray:
    sheet, top, left = place
    return table[sheet, top : top + size[0], left : left + size[1]]


def _arrange(sizes: dict[int, tuple[int, int]], limit_bytes: int) -> Sheets:
    pixels = sum(height * width for height, width in sizes.values())
    _check(Sheets(1, 1, pixels, {}), limit_bytes)  # quick, before places are looked for
    sheets = arrange(sizes) if sizes else Sheets(0, 1, 1, {})
    _check(sheets, limit_bytes)
    return sheets


def _check(sheets: Sheets, limit_bytes: int) -> None:
    if sheets.nbytes > limit_bytes:
        raise UserError(
            f"config.data.loader=device: the decoded photos take more than {limit_bytes / 2**30:.2g} GiB "
            f"({sheets.nbytes / 2**30:.2g} GiB); use smaller photos (scripts/zip_photos.py --side) or "
            "config.data.loader=threads"
        )
