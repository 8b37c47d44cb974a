"""Batches from decoded photographs held in memory, made by background threads. NumPy and Pillow only."""

from __future__ import annotations

import queue
import threading
import weakref
from collections.abc import Mapping
from concurrent.futures import Executor, ThreadPoolExecutor

import numpy as np

from sirr_jax.data.images.cpu_count import usable_cores
from sirr_jax.data.images.decode_cache import DecodeCache
from sirr_jax.data.loaders.process_slice import Share

Batch = dict[str, dict[str, np.ndarray]]

# How long a waiting thread takes to see that the pipeline was closed.
_POLL_SECONDS = 0.05
_JOIN_SECONDS = 5.0


class ThreadLoader:
    """An iterator of raw batches; also a context manager that closes itself."""

    def __init__(self, shares: Mapping[str, Share], *, start_step: int, prefetch: int, memory_limit: int) -> None:
        """Starts the background thread, and as many to help it as half the processor's cores.

        Args:
          shares: What to read, by kind.
          start_step: Step of the first batch.
          prefetch: Batches to make ahead, 1 or more.
          memory_limit: Most bytes of decoded images to keep.
        """
        memory = DecodeCache(memory_limit)
        held = {kind: share.held(memory) for kind, share in shares.items()}
        self._queue: queue.Queue[Batch | Exception] = queue.Queue(maxsize=prefetch)
        self._stop = threading.Event()
        self._error: Exception | None = None
        # The thread knows nothing of this object, so that a forgotten pipeline can be collected, and its
        # thread ended.
        self._thread = threading.Thread(
            target=_produce,
            args=(held, start_step, self._queue, self._stop),
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
        """Ends the background thread; iterating stops. Closing twice is harmless."""
        self._end()

    def __enter__(self) -> ThreadLoader:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _produce(
    shares: Mapping[str, Share], step: int, batches: queue.Queue[Batch | Exception], stop: threading.Event
) -> None:
    # Pillow resizes without the interpreter's lock, so that threads do: a GPU takes more than one makes.
    with ThreadPoolExecutor(max(1, usable_cores() // 2), thread_name_prefix="sirr-sample") as pool:
        while not stop.is_set():
            item: Batch | Exception
            try:
                item = {kind: _batch(share, step, pool) for kind, share in shares.items()}
            except Exception as error:  # whatever it is, the consumer raises it
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


def _batch(share: Share, step: int, pool: Executor) -> dict[str, np.ndarray]:
    samples = [*pool.map(share.sample, share.positions(step))]
    return {name: np.stack([sample[name] for sample in samples]) for name in samples[0]}


def _finish(stop: threading.Event, thread: threading.Thread) -> None:
    stop.set()
    # The garbage collector may run this in the very thread that is to end.
    if thread is not threading.current_thread():
        thread.join(_JOIN_SECONDS)
