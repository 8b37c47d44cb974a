"""Batches for accelerators that hold the photographs: the host draws regions, a few numbers each."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import jax
import numpy as np

from sirr_jax.data.images.decode_cache import DecodeCache
from sirr_jax.data.loaders.on_device_crops import cut_regions
from sirr_jax.data.loaders.process_slice import Share
from sirr_jax.data.loaders.threads import Batch, ThreadLoader
from sirr_jax.data.random_access import StreamKey
from sirr_jax.data.samples.base import ArraySpec, Stream
from sirr_jax.data.samples.photo import CropStream
from sirr_jax.data.sources.preloaded import PreloadedPhotos
from sirr_jax.errors import UserError


class RegionStream:
    """The regions of a stream of crops, in the crops' place."""

    def __init__(self, stream: CropStream) -> None:
        """Makes a stream from one of crops."""
        self._stream = stream
        self._roles = tuple(stream.spec)

    @property
    def spec(self) -> Mapping[str, ArraySpec]:
        """The crops' names: int32 `[4]`: photograph, top, left, side."""
        return {role: ArraySpec((4,), np.dtype(np.int32)) for role in self._roles}

    def sample(self, position: int, key: StreamKey) -> dict[str, np.ndarray]:
        """Draws the regions of the sample at a position."""
        drawn = self._stream.regions(position, key)
        return {role: np.asarray((photo, *region), np.int32) for role, (photo, region) in drawn.items()}

    def held(self, memory: DecodeCache) -> RegionStream:  # noqa: ARG002 - the protocol's
        """Returns itself: the photographs have all been decoded."""
        return self


class OnDeviceLoader(ThreadLoader):
    """A pipeline whose batches hold regions, and what turns them into crops on a device.

    Attributes:
      photographs: uint8 `[N, H, W, 3]`, for every device to hold.
    """

    def __init__(self, shares: Mapping[str, Share], *, start_step: int, prefetch: int) -> None:
        """Starts the background threads.

        Args:
          shares: What to read, by kind; crops of the same `PreloadedPhotos` all.
          start_step: Step of the first batch.
          prefetch: Batches to make ahead, 1 or more.

        Raises:
          UserError: A stream reads something else.
        """
        streams = {kind: share.stream for kind, share in shares.items()}
        self.photographs = _photographs(streams)
        self._sides = {kind: (stream.canvas, _reach(stream)) for kind, stream in streams.items()}
        regions = {
            kind: dataclasses.replace(share, stream=RegionStream(share.stream)) for kind, share in shares.items()
        }
        super().__init__(regions, start_step=start_step, prefetch=prefetch, memory_limit=0)

    def cut(self, photographs: jax.Array, batch: Batch) -> dict[str, dict[str, jax.Array]]:
        """Turns a batch of regions into what the other pipelines give, on one device.

        Args:
          photographs: The pipeline's, on that device.
          batch: That device's samples.

        Returns:
          The batch with uint8 crops `[n, canvas, canvas, 3]` in the regions' place.
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


def _photographs(streams: Mapping[str, Stream]) -> np.ndarray:
    sources = []
    for kind, stream in streams.items():
        if not (isinstance(stream, CropStream) and isinstance(stream.photos, PreloadedPhotos)):
            raise UserError(
                f"data.loader=device cuts crops of photographs alone, and samples of kind {kind!r} are something "
                "else; choose data.loader=threads or tf"
            )
        sources.append(stream.photos)
    if any(photos is not sources[0] for photos in sources):
        raise UserError("data.loader=device holds one set of photographs: give all kinds the same PreloadedPhotos")
    return sources[0].table


def _reach(stream: CropStream) -> int:
    return max(stream.canvas, round(stream.canvas * stream.max_scale))
