"""Batches through tf.data, index first: the pipeline's whole state is one integer, the step.

Positions -> sample, in parallel and in order -> batch -> prefetch. The graph carries positions only; order,
crops and decoding are the streams', in NumPy and Pillow, so that this pipeline and the one in memory give the
same bytes. Pillow decodes and resizes without holding the interpreter's lock, so the map does run in
parallel.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Mapping
from types import ModuleType
from typing import Any

import numpy as np

from sirr_jax.data.images.cpu_count import usable_cores
from sirr_jax.data.loaders.process_slice import Share
from sirr_jax.data.tensorflow_import import load_tensorflow

Batch = dict[str, dict[str, np.ndarray]]

_MOST_WORKERS = 32
_FAILED = "failed"


class TfDataLoader:
    """An iterator of raw batches; also a context manager that closes itself."""

    def __init__(self, shares: Mapping[str, Share], *, start_step: int, prefetch: int) -> None:
        """Builds the dataset and starts it.

        Args:
          shares: What to read, by kind.
          start_step: Step of the first batch.
          prefetch: Batches to make ahead, 1 or more.

        Raises:
          UserError: TensorFlow is not installed.
        """
        tf = load_tensorflow()
        workers = min(_MOST_WORKERS, usable_cores())
        self._error: Exception | None = None
        self._failures: dict[tuple[str, int], Exception] = {}
        self._shares = shares
        datasets = {
            kind: _samples(tf, share, kind, start_step, workers, self._failures) for kind, share in shares.items()
        }
        options = tf.data.Options()
        options.deterministic = True
        options.threading.private_threadpool_size = workers
        dataset = tf.data.Dataset.zip(datasets).prefetch(prefetch).with_options(options)
        self._step = start_step
        # The list alone owns the iterator: emptying it ends its threads. Finalize does that before the
        # interpreter shuts down: later they would wait for its lock, and Python for them, forever.
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
                position = self._shares[kind].positions(self._step)[int(np.argmax(failed))]
                self._error = self._failures[kind, position]
                self.close()
                raise self._error
        self._step += 1
        return batch

    def close(self) -> None:
        """Ends the dataset's threads; iterating stops. Closing twice is harmless."""
        self._end()

    def __enter__(self) -> TfDataLoader:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _samples(
    tf: ModuleType,
    share: Share,
    kind: str,
    start_step: int,
    workers: int,
    failures: dict[tuple[str, int], Exception],
) -> Any:
    spec = {**share.spec, _FAILED: share.spec["index"]._replace(dtype=np.dtype(bool))}
    read = _reader(share, kind, failures)

    def load(number: Any) -> dict[str, Any]:
        outputs = tf.numpy_function(read, [number], [tf.as_dtype(array.dtype) for array in spec.values()])
        return {
            name: tf.ensure_shape(output, array.shape)
            for output, (name, array) in zip(outputs, spec.items(), strict=True)
        }

    numbers = tf.data.Dataset.range(start_step * share.count, np.iinfo(np.int64).max)
    return numbers.map(load, num_parallel_calls=workers).batch(share.count, drop_remainder=True)


def _reader(
    share: Share, kind: str, failures: dict[tuple[str, int], Exception]
) -> Callable[[np.int64], list[np.ndarray]]:
    def read(number: np.int64) -> list[np.ndarray]:
        step, slot = divmod(int(number), share.count)
        position = share.positions(step)[slot]
        try:
            sample = share.sample(position)
        except Exception as error:  # TensorFlow would wrap it in an error of its own: the consumer raises the original
            failures[kind, position] = error
            empty = [np.zeros(array.shape, array.dtype) for array in share.spec.values()]
            return [*empty, np.asarray(True)]
        return [*(sample[name] for name in share.spec), np.asarray(False)]

    return read
