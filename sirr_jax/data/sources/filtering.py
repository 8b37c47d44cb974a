"""Leaving out the photographs that no sample can be made from."""

from __future__ import annotations

import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple, get_args

import numpy as np

from sirr_jax.data.images.decode import UnreadableImageError, read_image
from sirr_jax.data.images.quality import is_nearly_black
from sirr_jax.data.images.reader import OnCorrupt, check_large_enough
from sirr_jax.data.sources.photos import PhotoSource
from sirr_jax.errors import UserError

Fault = Literal["unreadable", "nearly black", "too small"]


class Skipped(NamedTuple):
    """A photograph that was left out.

    Attributes:
        name: the source's name of it.
        fault: why.
    """

    name: str
    fault: Fault


class Screening(NamedTuple):
    """What a look at every photograph of a source found.

    Attributes:
        photos: those that can be used.
        skipped: the others, in the source's order.
        count: of all photographs.
    """

    photos: PhotoSource
    skipped: tuple[Skipped, ...]
    count: int

    def summary(self) -> str:
        """One line, such as "skipped: 3 of 24 photographs (2 unreadable, 1 nearly black)"; empty if none was."""
        if not self.skipped:
            return ""
        faults = Counter(skipped.fault for skipped in self.skipped)
        said = ", ".join(f"{faults[fault]} {fault}" for fault in get_args(Fault) if fault in faults)
        return f"skipped: {len(self.skipped)} of {self.count} photographs ({said})"


class _Chosen:
    """Some photographs of a source."""

    def __init__(self, photos: PhotoSource, indices: list[int]) -> None:
        self._photos, self._indices = photos, indices

    def __len__(self) -> int:
        return len(self._indices)

    def name(self, index: int) -> str:
        return self._photos.name(self._indices[index])

    def read(self, index: int) -> np.ndarray:
        return self._photos.read(self._indices[index])


def screen(photos: PhotoSource, *, least: int, on_corrupt: OnCorrupt) -> Screening:
    """Decodes every photograph once, in threads, and leaves out those that cannot be used.

    Args:
        photos: where they come from.
        least: shortest side in pixels that a photograph must have.
        on_corrupt: what to do with one that is unreadable, nearly black all over (`is_nearly_black`) or smaller:
            "error" raises, "skip" leaves it out.

    Returns:
        The photographs that are left, and the others by name.

    Raises:
        UserError: if a photograph is at fault and `on_corrupt` is "error"; or if none is left.
    """
    faults: dict[int, Fault] = {}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for index, found in enumerate(pool.map(partial(_look, photos, least=least), range(len(photos)))):
            if found is None:
                continue
            if on_corrupt != "skip":
                pool.shutdown(cancel_futures=True)
                raise found[1]
            faults[index] = found[0]
    skipped = tuple(Skipped(photos.name(index), fault) for index, fault in faults.items())
    usable = _Chosen(photos, [index for index in range(len(photos)) if index not in faults])
    screening = Screening(usable, skipped, len(photos))
    if not len(usable):
        raise UserError(f"not one photograph is left; {screening.summary()}: give others")
    return screening


def _look(photos: PhotoSource, index: int, *, least: int) -> tuple[Fault, UserError] | None:
    name = photos.name(index)
    try:
        # A source that skips gives another photograph in the place of one that it cannot read; the file itself does
        # not.
        image = read_image(name) if Path(name).is_file() else photos.read(index)
    except UnreadableImageError as error:
        return "unreadable", error
    try:
        check_large_enough(name, image.shape[:2], least)
    except UserError as error:
        return "too small", error
    if is_nearly_black(image):
        return "nearly black", UserError(
            f"{name} is nearly black: 99 of 100 pixels are darker than 8 of 255 in every channel; remove the file or "
            "skip it (--on-corrupt skip)"
        )
    return None
