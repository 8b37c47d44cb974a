"""Filtering of photos that no sample can be made from."""

from __future__ import annotations

import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Literal, NamedTuple, get_args

import numpy as np

from sirr_jax.data.images.decode import UnreadableImageError
from sirr_jax.data.images.quality import is_nearly_black
from sirr_jax.data.images.reader import OnCorrupt, check_large_enough
from sirr_jax.data.sources.photos import PhotoSource
from sirr_jax.errors import UserError

Fault = Literal["unreadable", "nearly black", "too small"]


class Skipped(NamedTuple):
    """A photo that was left out.

    Attributes:
        name: name of the photo in its source.
        fault: reason.
    """

    name: str
    fault: Fault


class Screening(NamedTuple):
    """The result of checking every photo of a source.

    Attributes:
        photos: usable photos.
        skipped: photos that were left out, in the order of the source.
        total: number of all photos.
    """

    photos: PhotoSource
    skipped: tuple[Skipped, ...]
    total: int

    def summary(self) -> str:
        """Returns a line such as "skipped: 3 of 24 photographs (2 unreadable, 1 nearly black)"; empty if none was."""
        if not self.skipped:
            return ""
        faults = Counter(skipped.fault for skipped in self.skipped)
        counts = ", ".join(f"{faults[fault]} {fault}" for fault in get_args(Fault) if fault in faults)
        return f"skipped: {len(self.skipped)} of {self.total} photographs ({counts})"


class _Subset:
    """A subset of the photos of a source."""

    def __init__(self, photos: PhotoSource, indices: list[int]) -> None:
        self._photos, self._indices = photos, indices

    def __len__(self) -> int:
        return len(self._indices)

    def name(self, index: int) -> str:
        return self._photos.name(self._indices[index])

    def size(self, index: int) -> tuple[int, int] | None:
        return self._photos.size(self._indices[index])

    def read(self, index: int) -> np.ndarray:
        # Never another photo under this one's name: a manifest lists the names.
        return self._photos.read_alone(self._indices[index])

    def read_alone(self, index: int) -> np.ndarray:
        return self._photos.read_alone(self._indices[index])


def screen(photos: PhotoSource, *, min_side: int, on_corrupt: OnCorrupt) -> Screening:
    """Decodes every photo once, in threads, and leaves out unusable ones.

    Args:
        photos: source of the photos.
        min_side: minimum short side of a photo in pixels.
        on_corrupt: rule for photos that are unreadable, nearly black (`is_nearly_black`) or too small: "error" raises
            an error, "skip" leaves them out.

    Returns:
        The usable photos, and the names of the others.

    Raises:
        UserError: A photo is unusable and `on_corrupt` is "error", or no photo is left.
    """
    faults: dict[int, Fault] = {}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for index, problem in enumerate(pool.map(partial(_check, photos, min_side=min_side), range(len(photos)))):
            if problem is None:
                continue
            fault, error = problem
            if on_corrupt != "skip":
                pool.shutdown(cancel_futures=True)
                raise error
            faults[index] = fault
    skipped = tuple(Skipped(photos.name(index), fault) for index, fault in faults.items())
    usable = _Subset(photos, [index for index in range(len(photos)) if index not in faults])
    screening = Screening(usable, skipped, len(photos))
    if not len(usable):
        raise UserError(f"no usable photo is left; {screening.summary()}: use other photos")
    return screening


def _check(photos: PhotoSource, index: int, *, min_side: int) -> tuple[Fault, UserError] | None:
    name = photos.name(index)
    try:
        image = photos.read_alone(index)  # `read` returns another photo if unreadable ones are skipped
    except UnreadableImageError as error:
        return "unreadable", error
    try:
        check_large_enough(name, image.shape[:2], min_side)
    except UserError as error:
        return "too small", error
    if is_nearly_black(image):
        return "nearly black", UserError(
            f"{name} is nearly black: 99 of 100 pixels are below 8 of 255 in every channel; remove the file or "
            "skip it (--on-corrupt skip)"
        )
    return None
