"""A loader that makes batches in background threads from cached decoded photos, with NumPy and Pillow only."""

from __future__ import annotations

import queue
import threading
import weakref
from collections.abc import Mapping
from concurrent.futures import Executor, ThreadPoolExecutor

import numpy as np

from sirr_jax.data.images.cpu_count import usable_cores
from sirr_jax.data.images.decode_cache import DecodeCache
from sirr_jax.data.loaders.process_slice import ProcessSlice

Batch = dict[str, dict[str, np.ndarray]]

# Longest time until a waiting thread notices that the loader was closed.
_POLL_SECONDS = 0.05
_JOIN_SECONDS = 5.0


class ThreadLoader:
    """An iterator of raw batches, and a context manager that closes it."""

    def __init__(
        self, slices: Mapping[str, ProcessSlice], *, start_step: int, prefetch: int, memory_limit: int
    ) -> None:
        """Starts the background thread, with a pool of worker threads for half of the processor cores.

        Args:
            slices: kind -> slice of the batches to load.
            start_step: step of the first batch.
            prefetch: number of batches to prepare in advance, 1 or more.
            memory_limit: size limit of the cache of decoded images in bytes.
        """
        memory = DecodeCache(memory_limit)
        cached_slices = {kind: slice_.held(memory) for kind, slice_ in slices.items()}
        self._queue: queue.Queue[Batch | Exception] = queue.Queue(maxsize=prefetch)
        self._stop = threading.Event()
        self._error: Exception | None = None
        # The thread does not refer to this object, so an abandoned loader is garbage-collected and its thread ends.
        self._thread = threading.Thread(
            target=_produce,
            args=(cached_slices, start_step, self._queue, self._stop),
            name="sirr-data",
            daemon=True,
        )
        self._end = weakref.finalize(self, _finish, self._stop, self._thread)
        self._thread.start()

    def __iter__(self) -> ThreadLoader:
        return self

    def __next__(self) -> Batch:
        if self._error is not None:
            raise self._error
        while not self._stop.is_set():
            try:
                item = self._queue.get(timeout=_POLL_SECONDS)
            except queue.Empty:
                continue
            if isinstance(item, Exception):
                self._error = item
                self.close()
                raise item
            return item
        raise StopIteration

    def close(self) -> None:
        """Ends the background thread and the iteration. Closing twice is harmless."""
        self._end()

    def __enter__(self) -> ThreadLoader:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _produce(
    slices: Mapping[str, ProcessSlice], step: int, batches: queue.Queue[Batch | Exception], stop: threading.Event
) -> None:
    # Pillow releases the GIL while resizing, so threads run in parallel; one thread is too slow for a GPU.
    with ThreadPoolExecutor(max(1, usable_cores() // 2), thread_name_prefix="sirr-sample") as pool:
        while not stop.is_set():
            item: Batch | Exception
            try:
                item = {kind: _batch(slice_, step, pool) for kind, slice_ in slices.items()}
            except Exception as error:  # the consumer raises it
                item = error
            while not stop.is_set():
                try:
                    batches.put(item, timeout=_POLL_SECONDS)
                    break
                except queue.Full:
                    continue
            if isinstance(item, Exception):
                return
            step += 1


def _batch(slice_: ProcessSlice, step: int, pool: Executor) -> dict[str, np.ndarray]:
    samples = [*pool.map(slice_.sample, slice_.positions(step))]
    return {name: np.stack([sample[name] for sample in samples]) for name in samples[0]}


def _finish(stop: threading.Event, thread: threading.Thread) -> None:
    stop.set()
    # The garbage collector may call this function in the thread itself.
    if thread is not threading.current_thread():
        thread.join(_JOIN_SECONDS)
