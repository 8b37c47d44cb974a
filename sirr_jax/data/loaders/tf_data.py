"""A loader based on tf.data, whose only state is one integer, the step.

Position -> sample (in parallel, in order) -> batch -> prefetch. The graph contains positions only; order, crops and
decoding are done by the streams with NumPy and Pillow, so that this loader and `ThreadLoader` return the same bytes.
Pillow releases the GIL while decoding and resizing, so the map runs in parallel.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Mapping
from types import ModuleType
from typing import Any

import numpy as np

from sirr_jax.data.images.cpu_count import usable_cores
from sirr_jax.data.loaders.process_slice import ProcessSlice
from sirr_jax.data.tensorflow_import import load_tensorflow

Batch = dict[str, dict[str, np.ndarray]]

_MAX_WORKERS = 32
_FAILED = "failed"


class TfDataLoader:
    """An iterator of raw batches, and a context manager that closes it."""

    def __init__(self, slices: Mapping[str, ProcessSlice], *, start_step: int, prefetch: int) -> None:
        """Builds and starts the `tf.data` dataset.

        Args:
            slices: kind -> slice of the batches to load.
            start_step: step of the first batch.
            prefetch: number of batches to prepare in advance, 1 or more.

        Raises:
            UserError: TensorFlow is not installed.
        """
        tf = load_tensorflow()
        workers = min(_MAX_WORKERS, usable_cores())
        self._error: Exception | None = None
        self._failures: dict[tuple[str, int], Exception] = {}
        self._slices = slices
        datasets = {
            kind: _samples(tf, slice_, kind, start_step, workers, self._failures) for kind, slice_ in slices.items()
        }
        options = tf.data.Options()
        options.deterministic = True
        options.threading.private_threadpool_size = workers
        dataset = tf.data.Dataset.zip(datasets).prefetch(prefetch).with_options(options)
        self._step = start_step
        # Only this list refers to the iterator: emptying it ends the threads of the dataset. The finalizer does this
        # before the interpreter shuts down; later, the threads would wait for the GIL and Python for the threads.
        self._iterators: list[Iterator[Batch]] = [dataset.as_numpy_iterator()]
        self._end = weakref.finalize(self, self._iterators.clear)

    def __iter__(self) -> TfDataLoader:
        return self

    def __next__(self) -> Batch:
        if self._error is not None:
            raise self._error
        if not self._iterators:
            raise StopIteration
        batch = next(self._iterators[0])
        for kind, arrays in batch.items():
            failed = arrays.pop(_FAILED)
            if failed.any():
                position = self._slices[kind].positions(self._step)[int(np.argmax(failed))]
                self._error = self._failures[kind, position]
                self.close()
                raise self._error
        self._step += 1
        return batch

    def close(self) -> None:
        """Ends the threads of the dataset and the iteration. Closing twice is harmless."""
        self._end()

    def __enter__(self) -> TfDataLoader:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _samples(
    tf: ModuleType,
    slice_: ProcessSlice,
    kind: str,
    start_step: int,
    workers: int,
    failures: dict[tuple[str, int], Exception],
) -> Any:
    spec = {**slice_.spec, _FAILED: slice_.spec["index"]._replace(dtype=np.dtype(bool))}
    read = _reader(slice_, kind, failures)

    def load(number: Any) -> dict[str, Any]:
        outputs = tf.numpy_function(read, [number], [tf.as_dtype(array.dtype) for array in spec.values()])
        return {
            name: tf.ensure_shape(output, array.shape)
            for output, (name, array) in zip(outputs, spec.items(), strict=True)
        }

    numbers = tf.data.Dataset.range(start_step * slice_.count, np.iinfo(np.int64).max)
    return numbers.map(load, num_parallel_calls=workers).batch(slice_.count, drop_remainder=True)


def _reader(
    slice_: ProcessSlice, kind: str, failures: dict[tuple[str, int], Exception]
) -> Callable[[np.int64], list[np.ndarray]]:
    def read(number: np.int64) -> list[np.ndarray]:
        step, slot = divmod(int(number), slice_.count)
        position = slice_.positions(step)[slot]
        try:
            sample = slice_.sample(position)
        except Exception as error:  # TensorFlow would wrap the error; the consumer raises the original
            failures[kind, position] = error
            empty = [np.zeros(array.shape, array.dtype) for array in slice_.spec.values()]
            return [*empty, np.asarray(True)]
        return [*(sample[name] for name in slice_.spec), np.asarray(False)]

    return read
