"""The samples of one kind that one process reads at each step."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sirr_jax.data.images.decode_cache import DecodeCache
from sirr_jax.data.random_access import StreamKey
from sirr_jax.data.samples.base import ArraySpec, Stream


@dataclass(frozen=True)
class ProcessSlice:
    """One process's contiguous slice of the global batches of one kind.

    Attributes:
        stream: stream of samples.
        key: key of the stream's random choices.
        global_count: samples per step, over all processes.
        count: samples per step of this process.
        first_slot: first slot of this process in a global batch.
        skipped: number of positions before the sample of step 0 and slot 0.
    """

    stream: Stream
    key: StreamKey
    global_count: int
    count: int
    first_slot: int
    skipped: int = 0

    @property
    def spec(self) -> Mapping[str, ArraySpec]:
        """The stream's arrays and `index`, uint32."""
        return {**self.stream.spec, "index": ArraySpec((), np.dtype(np.uint32))}

    def positions(self, step: int) -> range:
        """Positions of this process's samples at a step, in the endless stream that all processes share."""
        first = self.skipped + step * self.global_count + self.first_slot
        return range(first, first + self.count)

    def sample(self, position: int) -> dict[str, np.ndarray]:
        """Makes a sample; `index` is its position, modulo 2^32."""
        index = np.asarray(position % 2**32, np.uint32)
        return {**self.stream.sample(position, self.key), "index": index}

    def held(self, memory: DecodeCache) -> ProcessSlice:
        """Returns the same slice, caching decoded images in `memory`."""
        return dataclasses.replace(self, stream=self.stream.held(memory))
