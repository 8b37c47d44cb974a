"""Streams of photo crops, real sequences and real pairs: position -> sample."""

from __future__ import annotations

import abc
import copy
import functools
from collections.abc import Callable, Mapping
from typing import Self

import numpy as np

from sirr_jax.data.images.crops import PhotoRegion, cut, draw_region
from sirr_jax.data.images.decode_cache import DecodeCache
from sirr_jax.data.random_access import StreamKey, item_at, two_items_at
from sirr_jax.data.samples.base import ArraySpec, Stream, check_crop, check_two_photos, image_spec, same_picture
from sirr_jax.data.sources.pairs import PairSource
from sirr_jax.data.sources.photos import PhotoSource
from sirr_jax.data.sources.sequences import SequenceSource
from sirr_jax.errors import UserError

__all__ = ["ArraySpec", "PairCrops", "PhotoCrops", "PhotoLayers", "ProceduralLayers", "SequenceCrops", "Stream"]


class CropStream(abc.ABC):
    """The base class of streams of photo crops.

    Attributes:
        photos: source of the photos.
        canvas: side of the crops in pixels.
        max_scale: largest downscaling factor of a photo.
        short_side: range of the short side to which photos are resized instead, in pixels; None for none.
    """

    def __init__(
        self,
        photos: PhotoSource,
        *,
        crop: int,
        canvas: int,
        max_scale: float,
        min_scale: float,
        short_side: tuple[int, int] | None,
    ) -> None:
        check_crop(crop, max_scale, min_scale, short_side)
        self.photos = photos
        self.canvas = canvas
        self.max_scale = max_scale
        self._min_scale = min_scale
        self.short_side = short_side
        self._read: Callable[[int], np.ndarray] = photos.read
        self._crop = crop

    @property
    @abc.abstractmethod
    def spec(self) -> Mapping[str, ArraySpec]:
        """Names, shapes and types of the arrays of a sample."""

    @abc.abstractmethod
    def regions(self, position: int, key: StreamKey) -> dict[str, PhotoRegion]:
        """Draws the regions from which the sample at a position is cropped.

        Raises:
            UserError: A photo cannot be decoded or is smaller than the crop.
        """

    def sample(self, position: int, key: StreamKey) -> dict[str, np.ndarray]:
        """Returns the sample at a position, uint8 `[canvas, canvas, 3]` each.

        Raises:
            UserError: A photo cannot be decoded or is smaller than the crop.
        """
        cached = copy.copy(self)
        cached._read = functools.cache(self._read)  # one decoding for drawing, comparing and cropping
        return {
            name: cut(cached._read(index), region, self.canvas)
            for name, (index, region) in cached.regions(position, key).items()
        }

    def held(self, memory: DecodeCache) -> Self:
        """Returns the same stream with decoded photos cached in `memory`."""
        stream = copy.copy(self)
        stream._read = memory.remember(self._read)
        return stream

    def _region(self, index: int, generator: np.random.Generator) -> PhotoRegion:
        region = draw_region(
            generator,
            self._read(index).shape[:2],
            canvas=self.canvas,
            crop=self._crop,
            max_scale=self.max_scale,
            min_scale=self._min_scale,
            short_side=self.short_side,
            name=self.photos.name(index),
        )
        return PhotoRegion(index, region)


class PhotoLayers(CropStream):
    """Two layers, each a crop of a different photo.

    Each photo serves once as transmission and once as reflection per epoch. With a margin, the arrays are canvases for
    the synthesis of moving-camera sequences (specification of `dynamics`, section 6.2); without a margin, they are
    crops to be mixed into single images.
    """

    def __init__(
        self,
        photos: PhotoSource,
        *,
        crop: int,
        margin: int = 0,
        max_scale: float = 2.0,
        min_scale: float = 1.0,
        short_side: tuple[int, int] | None = None,
    ) -> None:
        """Makes a stream.

        Args:
            photos: source of the photos.
            crop: side of the training images in pixels.
            margin: margin of the canvas around the crop on each side, in pixels.
            max_scale: largest downscaling factor of a photo, 1 or more.
            min_scale: smallest downscaling factor, at most 1; values below 1 allow upscaling, for close-ups.
            short_side: range of the short side to which photos are resized instead, in pixels.

        Raises:
            UserError: A value is out of range, or there is one photo only.
        """
        super().__init__(
            photos,
            crop=crop,
            canvas=crop + 2 * margin,
            max_scale=max_scale,
            min_scale=min_scale,
            short_side=short_side,
        )
        if margin < 0:
            raise UserError(f"margin={margin}: expected 0 or more pixels")
        check_two_photos(photos)

    @property
    def spec(self) -> Mapping[str, ArraySpec]:
        """`transmission` and `reflection`: uint8 `[canvas, canvas, 3]`."""
        image = image_spec(self.canvas)
        return {"transmission": image, "reflection": image}

    def regions(self, position: int, key: StreamKey) -> dict[str, PhotoRegion]:
        """Draws one region in each of two photos."""
        first, second = two_items_at(key, position, len(self.photos))
        second = self._different_photo(first, second)
        generator = key.generator("crop", position)
        return {
            "transmission": self._region(first, generator),
            "reflection": self._region(second, generator),
        }

    def _different_photo(self, index: int, preferred: int) -> int:
        """Returns the first index from `preferred` on whose photo differs from that of `index`."""
        # Two indices can have the same photo: a copied file, or a damaged file that the source replaces.
        photo, count = self._read(index), len(self.photos)
        for candidate in ((preferred + offset) % count for offset in range(count)):
            if candidate != index and not same_picture(self._read(candidate), photo):
                return candidate
        raise UserError(
            f"all {count} photographs show the same as {self.photos.name(index)}, which cannot be both layers of a "
            "mixture; add a different one"
        )


class PhotoCrops(CropStream):
    """A crop of one photo, to be degraded; each photo once per epoch."""

    def __init__(
        self,
        photos: PhotoSource,
        *,
        crop: int,
        max_scale: float = 2.0,
        min_scale: float = 1.0,
        short_side: tuple[int, int] | None = None,
    ) -> None:
        """Makes a stream.

        Args:
            photos: source of the photos.
            crop: side of the crops in pixels.
            max_scale: largest downscaling factor of a photo, 1 or more.
            min_scale: smallest downscaling factor, at most 1; values below 1 allow upscaling, for close-ups.
            short_side: range of the short side to which photos are resized instead, in pixels.

        Raises:
            UserError: A value is out of range.
        """
        super().__init__(
            photos, crop=crop, canvas=crop, max_scale=max_scale, min_scale=min_scale, short_side=short_side
        )

    @property
    def spec(self) -> Mapping[str, ArraySpec]:
        """`transmission`: uint8 `[crop, crop, 3]`."""
        return {"transmission": image_spec(self.canvas)}

    def regions(self, position: int, key: StreamKey) -> dict[str, PhotoRegion]:
        """Draws a region of one photo."""
        index = item_at(key, position, len(self.photos))
        return {"transmission": self._region(index, key.generator("crop", position))}


class ProceduralLayers:
    """Samples without arrays: the layers are synthesized on the device from the index of the sample."""

    @property
    def spec(self) -> Mapping[str, ArraySpec]:
        """Empty: samples contain no arrays."""
        return {}

    def sample(self, position: int, key: StreamKey) -> dict[str, np.ndarray]:  # noqa: ARG002 - the protocol's
        """Returns an empty sample."""
        return {}

    def held(self, memory: DecodeCache) -> ProceduralLayers:  # noqa: ARG002 - the protocol's
        """Returns itself: there is nothing to cache."""
        return self


class SequenceCrops:
    """Three consecutive frames of a real sequence around a random middle frame, with the same crop for all layers.

    Each sequence occurs once per epoch.
    """

    def __init__(self, sequences: SequenceSource, *, crop: int, max_scale: float = 2.0) -> None:
        """Makes a stream.

        Args:
            sequences: source of the frames.
            crop: side of the crops in pixels.
            max_scale: largest downscaling factor of a frame, 1 or more.

        Raises:
            UserError: A value is out of range.
        """
        check_crop(crop, max_scale)
        self._sequences = sequences
        self._crop = crop
        self._max_scale = max_scale

    @property
    def spec(self) -> Mapping[str, ArraySpec]:
        """`mixture`, `transmission`, `reflection`: uint8 `[3, crop, crop, 3]`; `has_reflection`: bool."""
        frames = ArraySpec((3, self._crop, self._crop, 3), np.dtype(np.uint8))
        return {
            "mixture": frames,
            "transmission": frames,
            "reflection": frames,
            "has_reflection": ArraySpec((), np.dtype(bool)),
        }

    def sample(self, position: int, key: StreamKey) -> dict[str, np.ndarray]:
        """Returns the sample at a position; `reflection` is zero if the sequence has no reflection layer.

        Raises:
            UserError: A frame cannot be decoded or is smaller than the crop, or the three frames are equal.
        """
        index = item_at(key, position, len(self._sequences))
        generator = key.generator("crop", position)
        first = int(generator.integers(0, self._sequences.triples(index)))
        triple = self._sequences.read(index, first)
        region = draw_region(
            generator,
            triple.mixture[0].shape[:2],
            canvas=self._crop,
            crop=self._crop,
            max_scale=self._max_scale,
            name=self._sequences.name(index),
        )
        mixture, transmission = (
            np.stack([cut(frame, region, self._crop) for frame in frames])
            for frames in (triple.mixture, triple.transmission)
        )
        reflection = np.zeros_like(mixture)
        if triple.reflection is not None:
            reflection = np.stack([cut(frame, region, self._crop) for frame in triple.reflection])
        return {
            "mixture": mixture,
            "transmission": transmission,
            "reflection": reflection,
            "has_reflection": np.asarray(triple.reflection is not None),
        }

    def held(self, memory: DecodeCache) -> SequenceCrops:
        """Returns the same stream with decoded frames cached in `memory`."""
        stream = copy.copy(self)
        stream._sequences = self._sequences.held(memory)
        return stream


class PairCrops:
    """A real mixture and its transmission with the same crop; each pair once per epoch."""

    def __init__(
        self, pairs: PairSource, *, crop: int, max_scale: float = 2.0, short_side: tuple[int, int] | None = None
    ) -> None:
        """Makes a stream.

        Args:
            pairs: source of the pairs.
            crop: side of the crops in pixels.
            max_scale: largest downscaling factor of an image, 1 or more.
            short_side: range of the short side to which images are resized instead, in pixels.

        Raises:
            UserError: A value is out of range.
        """
        check_crop(crop, max_scale, short_side=short_side)
        self._pairs = pairs
        self._read: Callable[[int], tuple[np.ndarray, np.ndarray]] = pairs.read
        self._crop = crop
        self._max_scale = max_scale
        self._short_side = short_side

    @property
    def spec(self) -> Mapping[str, ArraySpec]:
        """`mixture` and `transmission`: uint8 `[crop, crop, 3]`."""
        image = image_spec(self._crop)
        return {"mixture": image, "transmission": image}

    def sample(self, position: int, key: StreamKey) -> dict[str, np.ndarray]:
        """Returns the sample at a position, uint8 `[crop, crop, 3]` each.

        Raises:
            UserError: An image cannot be decoded or is smaller than the crop.
        """
        index = item_at(key, position, len(self._pairs))
        mixture, transmission = self._read(index)
        region = draw_region(
            key.generator("crop", position),
            mixture.shape[:2],
            canvas=self._crop,
            crop=self._crop,
            max_scale=self._max_scale,
            short_side=self._short_side,
            name=self._pairs.name(index),
        )
        return {
            "mixture": cut(mixture, region, self._crop),
            "transmission": cut(transmission, region, self._crop),
        }

    def held(self, memory: DecodeCache) -> PairCrops:
        """Returns the same stream with decoded pairs cached in `memory`."""
        stream = copy.copy(self)
        stream._read = memory.remember(self._read)
        return stream
