"""Streams of labelled photos: single photos, pairs to be mixed, and degraded photos."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from sirr_jax.data.images.crops import cut, cut_labels, draw_region
from sirr_jax.data.images.decode_cache import DecodeCache
from sirr_jax.data.random_access import StreamKey, item_at, two_items_at
from sirr_jax.data.samples.base import ArraySpec, check_crop, check_two_photos, image_spec, labels_spec, same_picture
from sirr_jax.data.sources.segmentation import NO_CLASS, LabelledSource
from sirr_jax.errors import UserError

if TYPE_CHECKING:
    # This import needs JAX, which reading data does not.
    from sirr_jax.synthesis.degradations.random_degradation import RandomDegradation

_Labelled = tuple[np.ndarray, np.ndarray]

# Number of photos that are searched for one without a common class: the first read of each decodes it.
_CANDIDATES = 16


class _Crops:
    """Reads labelled photos and crops photo and labels alike."""

    def __init__(self, source: LabelledSource, crop: int, max_scale: float) -> None:
        check_crop(crop, max_scale)
        self.source = source
        self.side = crop
        self.read: Callable[[int], _Labelled] = source.read
        self._max_scale = max_scale

    def held(self, memory: DecodeCache) -> _Crops:
        crops = copy.copy(self)
        crops.read = memory.remember(self.read)
        return crops

    def cut(self, item: _Labelled, index: int, generator: np.random.Generator) -> _Labelled:
        photo, labels = item
        region = draw_region(
            generator,
            photo.shape[:2],
            canvas=self.side,
            crop=self.side,
            max_scale=self._max_scale,
            name=self.source.name(index),
        )
        return cut(photo, region, self.side), cut_labels(labels, region, self.side)


class LabelledCrops:
    """A crop of one photo and its labels; each photo once per epoch."""

    def __init__(self, source: LabelledSource, *, crop: int, max_scale: float = 2.0) -> None:
        """Makes a stream.

        Args:
            source: source of the labelled photos.
            crop: side of the crops in pixels.
            max_scale: largest downscaling factor of a photo, 1 or more.

        Raises:
            UserError: A value is out of range.
        """
        self._crops = _Crops(source, crop, max_scale)

    @property
    def spec(self) -> Mapping[str, ArraySpec]:
        """`transmission`: uint8 `[crop, crop, 3]`; `labels`: uint8 `[crop, crop]`, 255 for no class."""
        return {"transmission": image_spec(self._crops.side), "labels": labels_spec(self._crops.side)}

    def sample(self, position: int, key: StreamKey) -> dict[str, np.ndarray]:
        """Returns the sample at a position.

        Raises:
            UserError: A file is unusable, or the photo is smaller than the crop.
        """
        index = item_at(key, position, len(self._crops.source))
        photo, labels = self._crops.cut(self._crops.read(index), index, key.generator("crop", position))
        return {"transmission": photo, "labels": labels}

    def held(self, memory: DecodeCache) -> LabelledCrops:
        """Returns the same stream with decoded photos and labels cached in `memory`."""
        stream = copy.copy(self)
        stream._crops = self._crops.held(memory)
        return stream


class LabelledPairs:
    """Two layers from two labelled photos, with disjoint classes where possible.

    Each photo serves once as transmission per epoch. Its reflection is the first of 16 other photos, drawn for the
    position, that has no class in common with it except the background, 0; otherwise the first of them (SGRRN
    specification, section 9.1, where the file names contain the classes).
    """

    def __init__(self, source: LabelledSource, *, crop: int, max_scale: float = 2.0) -> None:
        """Makes a stream.

        Args:
            source: source of the labelled photos.
            crop: side of the crops in pixels.
            max_scale: largest downscaling factor of a photo, 1 or more.

        Raises:
            UserError: A value is out of range, or there is one photo only.
        """
        check_two_photos(source)
        self._crops = _Crops(source, crop, max_scale)
        # Classes of each photo as the bits of an integer; the values do not depend on the order of reads.
        self._classes: dict[int, int] = {}

    @property
    def spec(self) -> Mapping[str, ArraySpec]:
        """`transmission`, `reflection`: uint8 `[crop, crop, 3]`; `labels`, `reflection_labels`: `[crop, crop]`."""
        image, labels = image_spec(self._crops.side), labels_spec(self._crops.side)
        return {"transmission": image, "labels": labels, "reflection": image, "reflection_labels": labels}

    def sample(self, position: int, key: StreamKey) -> dict[str, np.ndarray]:
        """Returns the sample at a position; each layer has a crop of its own.

        Raises:
            UserError: A file is unusable, or a photo is smaller than the crop.
        """
        count = len(self._crops.source)
        first = item_at(key, position, count)
        # Drawn as offsets from the first, so that the first is never a candidate.
        offsets = key.generator("partner", position).choice(count - 1, min(count - 1, _CANDIDATES), replace=False) + 1
        candidates = ((first + offsets) % count).tolist()
        item = self._crops.read(first)
        partner = next(self._partners(first, item, candidates), None)
        if partner is None:
            raise UserError(
                f"{self._crops.source.name(first)} and {len(candidates)} others show the same and cannot be both "
                "layers of a mixture; add different photographs"
            )
        second, other = partner
        generator = key.generator("crop", position)
        transmission, labels = self._crops.cut(item, first, generator)
        reflection, reflection_labels = self._crops.cut(other, second, generator)
        return {
            "transmission": transmission,
            "labels": labels,
            "reflection": reflection,
            "reflection_labels": reflection_labels,
        }

    def held(self, memory: DecodeCache) -> LabelledPairs:
        """Returns the same stream with decoded photos and labels cached in `memory`."""
        stream = copy.copy(self)
        stream._crops = self._crops.held(memory)
        return stream

    def _partners(self, first: int, item: _Labelled, candidates: list[int]) -> Iterator[tuple[int, _Labelled]]:
        """Yields candidates whose photo differs from that of `item`: first those without a common class."""
        classes = self._classes_of(first)
        for condition in (
            lambda index: not classes & self._classes_of(index),
            lambda index: classes & self._classes_of(index),
        ):
            for index in filter(condition, candidates):
                # Two indices can have the same photo: a copied file, or a damaged one that the next one replaces.
                if not same_picture((other := self._crops.read(index))[0], item[0]):
                    yield index, other

    def _classes_of(self, index: int) -> int:
        if index not in self._classes:
            labels = self._crops.read(index)[1]
            present = np.bincount(labels.reshape(-1), minlength=NO_CLASS + 1)[1:NO_CLASS] > 0
            self._classes[index] = int.from_bytes(np.packbits(present).tobytes(), "big")
        return self._classes[index]


class DegradedCrops:
    """A crop of one photo, clean and degraded, and its labels; each photo once per epoch."""

    def __init__(
        self, source: LabelledSource, degradation: RandomDegradation, *, crop: int, max_scale: float = 2.0
    ) -> None:
        """Makes a stream.

        Args:
            source: source of the labelled photos.
            degradation: random degradation. Window reflections use the next photo in the order of the epoch.
            crop: side of the crops in pixels.
            max_scale: largest downscaling factor of a photo, 1 or more.

        Raises:
            UserError: A value is out of range, or there is one photo only and a degradation needs another.
        """
        if any(degradation.takes_another(kind) for kind in range(len(degradation.kinds))):
            check_two_photos(source)
        self._crops = _Crops(source, crop, max_scale)
        self._degradation = degradation

    @property
    def spec(self) -> Mapping[str, ArraySpec]:
        """`mixture`, `target`: uint8 `[crop, crop, 3]`; `labels`: uint8 `[crop, crop]`; `kind`: int32."""
        image = image_spec(self._crops.side)
        return {
            "target": image,
            "mixture": image,
            "labels": labels_spec(self._crops.side),
            "kind": ArraySpec((), np.dtype(np.int32)),
        }

    def sample(self, position: int, key: StreamKey) -> dict[str, np.ndarray]:
        """Returns the sample at a position; `kind` is the index of the degradation in `RandomDegradation.kinds`.

        Raises:
            UserError: A file is unusable, or a photo is smaller than the crop.
        """
        first, second = two_items_at(key, position, len(self._crops.source))
        crop_generator = key.generator("crop", position)
        target, labels = self._crops.cut(self._crops.read(first), first, crop_generator)
        generator = key.generator("degradation", position)
        kind = self._degradation.draw(generator)
        other = None
        if self._degradation.takes_another(kind):
            other, _ = self._crops.cut(self._crops.read(second), second, crop_generator)
        mixture = self._degradation.degrade(target, kind, generator, other=other)
        return {"mixture": mixture, "target": target, "labels": labels, "kind": np.asarray(kind, np.int32)}

    def held(self, memory: DecodeCache) -> DegradedCrops:
        """Returns the same stream with decoded photos and labels cached in `memory`."""
        stream = copy.copy(self)
        stream._crops = self._crops.held(memory)
        return stream
