"""Places of photos of any size on sheets of one size, so that one panorama does not enlarge the place of each photo."""

from __future__ import annotations

import dataclasses
import math
from collections import defaultdict
from collections.abc import Mapping
from typing import NamedTuple

Size = tuple[int, int]


class Place(NamedTuple):
    """The top left pixel of a photo: number of the sheet, row and column."""

    sheet: int
    top: int
    left: int


@dataclasses.dataclass(frozen=True)
class Sheets:
    """Sheets and the photos on them.

    Attributes:
        number: number of sheets.
        height: height of a sheet in pixels.
        width: width of a sheet in pixels.
        places: photo -> its place; photos do not overlap.
    """

    number: int
    height: int
    width: int
    places: dict[int, Place]

    @property
    def nbytes(self) -> int:
        """Size of the sheets in bytes, RGB of 8 bits."""
        return self.number * self.height * self.width * 3


def arrange(sizes: Mapping[int, Size]) -> Sheets:
    """Finds places for photos.

    Photos of one size have a sheet each. Others share one sheet, about as wide as high: in shelves, the highest photos
    first, and in columns within a shelf, so that few pixels are empty.

    Args:
        sizes: photo -> height and width in pixels; at least one.

    Returns:
        The sheets.
    """
    if len(set(sizes.values())) == 1:
        height, width = next(iter(sizes.values()))
        return Sheets(len(sizes), height, width, {photo: Place(i, 0, 0) for i, photo in enumerate(sizes)})
    area = sum(height * width for height, width in sizes.values())
    sheet_width = max(max(width for _, width in sizes.values()), math.isqrt(area))
    waiting = _Waiting(sizes)
    places: dict[int, Place] = {}
    top = 0
    while (first := waiting.take(None, sheet_width)) is not None:
        photo, (shelf, width) = first
        places[photo] = Place(0, top, 0)
        left = width
        while (head := waiting.take(shelf, sheet_width - left)) is not None:
            photo, (height, column) = head
            places[photo] = Place(0, top, left)
            while (below := waiting.take(shelf - height, column)) is not None:
                photo, size = below
                places[photo] = Place(0, top + height, left)
                height += size[0]
            left += column
        top += shelf
    return Sheets(1, top, sheet_width, places)


class _Waiting:
    """Photos without a place, by size."""

    def __init__(self, sizes: Mapping[int, Size]) -> None:
        by_size: dict[Size, list[int]] = defaultdict(list)
        for photo, size in sizes.items():
            by_size[size].append(photo)
        # The highest first, of those the widest; photos of a size in their order.
        self._sizes = sorted(by_size, reverse=True)
        self._photos = {size: photos[::-1] for size, photos in by_size.items()}

    def take(self, height: int | None, width: int) -> tuple[int, Size] | None:
        """Takes the highest photo that fits into an area; None if none does."""
        for index, size in enumerate(self._sizes):
            if (height is None or size[0] <= height) and size[1] <= width:
                photo = self._photos[size].pop()
                if not self._photos[size]:
                    del self._sizes[index]
                return photo, size
        return None
