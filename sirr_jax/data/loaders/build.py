"""Streams of samples -> batches: the entry to the three loaders."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Protocol

import numpy as np

from sirr_jax.data.loaders.on_device import OnDeviceLoader
from sirr_jax.data.loaders.process_slice import ProcessSlice
from sirr_jax.data.loaders.tf_data import TfDataLoader
from sirr_jax.data.loaders.threads import ThreadLoader
from sirr_jax.data.random_access import StreamKey
from sirr_jax.data.samples.base import Stream
from sirr_jax.errors import UserError

LoaderName = Literal["tf", "threads", "device"]
LOADERS: tuple[LoaderName, ...] = ("tf", "threads", "device")


class BatchLoader(Protocol):
    """An endless iterator of raw batches, kind -> name -> array; the leading axis is the samples of this process.

    The arrays are uint8 images (and `index`, uint32, the sample's position in the endless stream); treat them
    as read-only. An error in the data is raised from `next`, as it was raised, and again from every later
    `next`.
    """

    def __iter__(self) -> BatchLoader: ...

    def __next__(self) -> dict[str, dict[str, np.ndarray]]: ...

    def close(self) -> None:
        """Ends the threads behind it; iterating stops."""
        ...

    def __enter__(self) -> BatchLoader: ...

    def __exit__(self, *exception: object) -> None: ...


def check_loader(loader: str) -> None:
    """Checks the name of a loader.

    Args:
        loader: name.

    Raises:
        UserError: There is no such loader.
    """
    if loader not in LOADERS:
        raise UserError(f"data.loader={loader!r}: expected one of {', '.join(LOADERS)}")


def build_loader(
    streams: Mapping[str, Stream],
    counts: Mapping[str, int],
    *,
    loader: LoaderName,
    seed: int,
    start_step: int,
    skipped: Mapping[str, int] | None = None,
    process_index: int = 0,
    process_count: int = 1,
    prefetch: int = 2,
    memory_limit: int = 4 * 2**30,
) -> BatchLoader:
    """Builds a loader whose batches depend on the seed, the files and the step alone.

    "tf" and "threads" give the same bytes; "device" gives regions of photographs, which a device turns into the same
    crops (`OnDeviceLoader.cut`). At step `s`, slot `i` of a global batch of `n` samples is the sample at position
    `skipped + s * n + i` of the endless stream; process `p` of `P` gets the slots from `p * n / P` up to
    `(p + 1) * n / P`. A run that resumes at step `k` gets the batches that an uninterrupted one gets from step `k`.

    Args:
        streams: kind -> stream of samples ("layers", "single", "sequences", "pairs", ...).
        counts: kind -> samples per step, over all processes; a kind with 0 is left out.
        loader: "tf" decodes in parallel each time (extra `train`); "threads" decodes each image once and caches it;
            "device" leaves cropping and resizing to the accelerators, which hold all photographs.
        seed: base random seed.
        start_step: step of the first batch.
        skipped: kind -> number of positions to leave out (see `skipped_positions`); None for none.
        process_index: index of this process, 0 to `process_count - 1`.
        process_count: number of processes.
        prefetch: number of batches to make ahead, 1 or more.
        memory_limit: largest size in bytes of the decoded images that "threads" caches; the rest is decoded each time.
            ("device" has its photographs decoded already, see `PreloadedPhotos`.)

    Returns:
        An iterator of batches; close it, or use it as a context manager.

    Raises:
        UserError: The loader is unknown, "device" cannot crop the streams, streams and counts are of different kinds,
            counts are negative, all zero or not divisible by the number of processes, another value is out of range,
            or TensorFlow is not installed.
    """
    check_loader(loader)
    if not 0 <= process_index < process_count:
        raise UserError(f"process {process_index} of {process_count}: expected 0 to {process_count - 1}")
    if start_step < 0:
        raise UserError(f"start_step={start_step}: expected 0 or more")
    if prefetch < 1:
        raise UserError(f"data.prefetch={prefetch}: expected 1 or more batches")
    if streams.keys() != counts.keys():
        raise UserError(f"counts are given for {sorted(counts)} and streams for {sorted(streams)}: expected the same")
    slices = {
        name: _share(name, stream, counts[name], seed, (skipped or {}).get(name, 0), process_index, process_count)
        for name, stream in streams.items()
        if counts[name] != 0
    }
    if not slices:
        raise UserError("a batch without a single sample: give at least one kind a count above 0")
    if loader == "tf":
        return TfDataLoader(slices, start_step=start_step, prefetch=prefetch)
    if loader == "device":
        return OnDeviceLoader(slices, start_step=start_step, prefetch=prefetch)
    return ThreadLoader(slices, start_step=start_step, prefetch=prefetch, memory_limit=memory_limit)


def _share(
    kind: str, stream: Stream, count: int, seed: int, skipped: int, process_index: int, process_count: int
) -> ProcessSlice:
    if count < 0:
        raise UserError(f"{count} samples of kind {kind!r} per step: expected 0 or more")
    if count % process_count:
        raise UserError(
            f"{count} samples of kind {kind!r} per step cannot be shared equally by {process_count} "
            f"processes: choose a multiple of {process_count}"
        )
    local = count // process_count
    return ProcessSlice(
        stream=stream,
        key=StreamKey(seed, kind),
        global_count=count,
        count=local,
        first_slot=process_index * local,
        skipped=skipped,
    )
