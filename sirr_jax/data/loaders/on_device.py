"""A loader for accelerators that store all photos: the host only draws regions, four integers each."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import cast

import jax
import numpy as np

from sirr_jax.data.images.crops import Region
from sirr_jax.data.images.decode_cache import DecodeCache
from sirr_jax.data.loaders.on_device_crops import cut_regions
from sirr_jax.data.loaders.process_slice import ProcessSlice
from sirr_jax.data.loaders.threads import ThreadLoader
from sirr_jax.data.random_access import StreamKey
from sirr_jax.data.samples.base import ArraySpec, Stream
from sirr_jax.data.samples.photo import CropStream
from sirr_jax.data.sources.preloaded import PreloadedPhotos
from sirr_jax.errors import UserError


class RegionStream:
    """The stream of the regions of a stream of crops."""

    def __init__(self, stream: CropStream) -> None:
        """Makes a stream of regions.

        Args:
            stream: stream of crops of `PreloadedPhotos`.
        """
        self._stream = stream
        self._names = tuple(stream.spec)
        self._places = cast(PreloadedPhotos, stream.photos).places

    @property
    def spec(self) -> Mapping[str, ArraySpec]:
        """Names of the crops, each int32 `[4]`: sheet of `PreloadedPhotos.table`, top, left, side."""
        return {name: ArraySpec((4,), np.dtype(np.int32)) for name in self._names}

    def sample(self, position: int, key: StreamKey) -> dict[str, np.ndarray]:
        """Draws the regions of the sample at a position."""
        regions = self._stream.regions(position, key)
        return {name: self._on_sheet(*region) for name, region in regions.items()}

    def _on_sheet(self, photo: int, region: Region) -> np.ndarray:
        place = self._places[photo]
        return np.asarray((place.sheet, place.top + region.top, place.left + region.left, region.side), np.int32)

    def held(self, memory: DecodeCache) -> RegionStream:  # noqa: ARG002 - the protocol's
        """Returns itself: all photos are already decoded."""
        return self


class OnDeviceLoader(ThreadLoader):
    """A loader whose batches contain regions, which `cut` turns into crops on a device.

    Attributes:
        photographs: uint8 `[S, H, W, 3]`, sheets of photos, to be stored on every device.
    """

    def __init__(self, slices: Mapping[str, ProcessSlice], *, start_step: int, prefetch: int) -> None:
        """Starts the background threads.

        Args:
            slices: kind -> slice of the batches to load; all streams crop the same `PreloadedPhotos`.
            start_step: step of the first batch.
            prefetch: number of batches to prepare in advance, 1 or more.

        Raises:
            UserError: A stream reads other data.
        """
        streams = {kind: _crop_stream(kind, slice_.stream) for kind, slice_ in slices.items()}
        self.photographs = _photographs(streams)
        self._sides = {kind: (stream.canvas, _reach(stream)) for kind, stream in streams.items()}
        regions = {
            kind: dataclasses.replace(slice_, stream=RegionStream(streams[kind])) for kind, slice_ in slices.items()
        }
        super().__init__(regions, start_step=start_step, prefetch=prefetch, memory_limit=0)

    def cut(
        self, photographs: jax.Array, batch: Mapping[str, Mapping[str, jax.Array]]
    ) -> dict[str, dict[str, jax.Array]]:
        """Turns a batch of regions into the batch of crops that the other loaders return, on one device.

        Args:
            photographs: `photographs` on that device.
            batch: samples of that device.

        Returns:
            The batch with crops, uint8 `[n, canvas, canvas, 3]`, instead of regions.
        """
        return {
            kind: {
                name: array
                if name == "index"
                else cut_regions(photographs, array, canvas=self._sides[kind][0], reach=self._sides[kind][1])
                for name, array in samples.items()
            }
            for kind, samples in batch.items()
        }


def _crop_stream(kind: str, stream: Stream) -> CropStream:
    if not (isinstance(stream, CropStream) and isinstance(stream.photos, PreloadedPhotos)):
        raise UserError(
            f"config.data.loader=device supports only crops of photos, which samples of kind {kind!r} are not; "
            "choose config.data.loader=threads or tf"
        )
    return stream


def _photographs(streams: Mapping[str, CropStream]) -> np.ndarray:
    sources = [cast(PreloadedPhotos, stream.photos) for stream in streams.values()]
    if any(photos is not sources[0] for photos in sources):
        raise UserError("config.data.loader=device stores one set of photos: all kinds must use the same source")
    return sources[0].table


def _reach(stream: CropStream) -> int:
    """Returns the largest side of a region in pixels."""
    if stream.short_side is not None:  # regions of any scale, up to a whole short side
        photos = cast(PreloadedPhotos, stream.photos)
        return max(stream.canvas, *(min(photos.size(index)) for index in range(len(photos))))
    return max(stream.canvas, round(stream.canvas * stream.max_scale))
