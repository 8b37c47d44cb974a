"""Cache of decoded images, so that each image is decoded once."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Hashable
from typing import Any

import numpy as np

_log = logging.getLogger(__name__)


class DecodeCache:
    """Caches the results of reading functions up to a number of bytes. Thread-safe.

    Nothing is evicted: images that come after the limit are decoded each time they are read. When every photo is read
    once per epoch, a fixed set of cached photos is hit more often than the most recent ones would be.
    """

    def __init__(self, limit_bytes: int) -> None:
        """Makes an empty cache.

        Args:
            limit_bytes: largest total size of the cached arrays in bytes.
        """
        self._limit = limit_bytes
        self._used = 0
        self._full = False
        self._items: dict[Hashable, Any] = {}
        self._lock = threading.Lock()

    def remember(self, read: Callable[..., Any]) -> Callable[..., Any]:
        """Wraps a reading function with this cache.

        Two wrappers of the same function (or of the same method of the same object) share their cached results.

        Args:
            read: function of hashable arguments that returns an array or a tuple of arrays.

        Returns:
            The caching function.
        """

        def cached_read(*args: Hashable) -> Any:
            key = (read, args)
            if key in self._items:
                return self._items[key]
            item = read(*args)
            with self._lock:
                self._add(key, item)
            return item

        return cached_read

    def _add(self, key: Hashable, item: np.ndarray | tuple[np.ndarray, ...]) -> None:
        size = sum(array.nbytes for array in (item if isinstance(item, tuple) else (item,)))
        if key in self._items:  # another thread was faster
            return
        if self._used + size <= self._limit:
            self._items[key] = item
            self._used += size
        elif not self._full:
            self._full = True
            _log.warning(
                "the cache of decoded images is full (%d MiB, config.data.loader=threads); the remaining images "
                "are decoded each time they are read: config.data.loader=tf is faster for this data set",
                self._limit >> 20,
            )
