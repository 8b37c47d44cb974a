"""The protocol of streams of samples, and checks that they share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

import numpy as np

from sirr_jax.data.images.decode_cache import DecodeCache
from sirr_jax.data.random_access import StreamKey
from sirr_jax.errors import UserError


class ArraySpec(NamedTuple):
    """Shape and type of one array of a sample."""

    shape: tuple[int, ...]
    dtype: np.dtype


class Stream(Protocol):
    """An endless stream of samples of one kind. Sampling is pure and safe from several threads."""

    @property
    def spec(self) -> Mapping[str, ArraySpec]:
        """Names, shapes and types of a sample's arrays."""
        ...

    def sample(self, position: int, key: StreamKey) -> dict[str, np.ndarray]:
        """Makes the sample at a position, 0 or more; the same arguments give the same bytes."""
        ...

    def held(self, memory: DecodeCache) -> Stream:
        """Returns the same stream, caching decoded images in `memory`."""
        ...


def image_spec(side: int) -> ArraySpec:
    """Shape and type of a square RGB image: uint8 `[side, side, 3]`."""
    return ArraySpec((side, side, 3), np.dtype(np.uint8))


def labels_spec(side: int) -> ArraySpec:
    """Shape and type of a square label map: uint8 `[side, side]`."""
    return ArraySpec((side, side), np.dtype(np.uint8))


def check_crop(crop: int, max_scale: float, min_scale: float = 1.0, short_side: tuple[int, int] | None = None) -> None:
    """Checks the options of crops.

    Args:
        crop: side of the crops in pixels.
        max_scale: largest reduction of a photograph.
        min_scale: smallest reduction of a photograph.
        short_side: range of the short side to which photographs are resized, in pixels.

    Raises:
        UserError: The crop has no pixel, or a reduction is out of range.
    """
    if crop < 1:
        raise UserError(f"data.crop={crop}: expected 1 or more pixels")
    if not max_scale >= 1:
        raise UserError(f"data.max_scale={max_scale}: expected 1 or more (1 never reduces a photograph)")
    if not 0 < min_scale <= 1:
        raise UserError(f"data.min_scale={min_scale}: expected above 0, at most 1 (1 never enlarges a photograph)")
    if short_side is not None and not crop <= short_side[0] <= short_side[1]:
        raise UserError(f"data.short_side={short_side}: expected a range from data.crop={crop} upwards, in pixels")


class NamedPhotos(Protocol):
    """The part of a source of photos that messages need."""

    def __len__(self) -> int:
        """Returns the number of photos."""
        ...

    def name(self, index: int) -> str:
        """Returns the name of a photo in messages."""
        ...


def check_two_photos(photos: NamedPhotos) -> None:
    """Checks that a source has enough photos to mix two.

    Args:
        photos: source of photos.

    Raises:
        UserError: It has one photo.
    """
    if len(photos) < 2:
        raise UserError(
            f"{photos.name(0)} is the only photograph and cannot be both layers of a mixture; give two photographs or "
            "more"
        )


def same_picture(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two images are equal in size and in every byte."""
    # A sparse comparison first: it distinguishes almost all different pictures without reading every byte.
    return (
        one.shape == other.shape and np.array_equal(one[::16, ::16], other[::16, ::16]) and np.array_equal(one, other)
    )
