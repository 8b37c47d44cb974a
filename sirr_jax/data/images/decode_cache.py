"""Decoded images held in memory, so that each is decoded once."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Hashable
from typing import Any

import numpy as np

_log = logging.getLogger(__name__)


class DecodeCache:
    """Remembers what reading functions returned, up to a number of bytes; safe from several threads.

    Nothing is ever thrown out: what comes after the limit is decoded each time it is wanted. Where every
    photograph is wanted once per epoch, a fixed set held in memory is hit more often than the most recent
    ones would be.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._used = 0
        self._full = False
        self._items: dict[Hashable, Any] = {}
        self._lock = threading.Lock()

    def remember(self, read: Callable[..., Any]) -> Callable[..., Any]:
        """Wraps a function of hashable arguments that returns an array or a tuple of arrays.

        Wrapping one function (or one method of one object) twice gives two wrappers that share what they
        remember.
        """

        def remembered(*args: Hashable) -> Any:
            key = (read, args)
            if key in self._items:
                return self._items[key]
            item = read(*args)
            with self._lock:
                self._keep(key, item)
            return item

        return remembered

    def _keep(self, key: Hashable, item: np.ndarray | tuple[np.ndarray, ...]) -> None:
        size = sum(array.nbytes for array in (item if isinstance(item, tuple) else (item,)))
        if key in self._items:  # another thread was faster
            return
        if self._used + size <= self._limit:
            self._items[key] = item
            self._used += size
        elif not self._full:
            self._full = True
            _log.warning(
                "decoded images fill the %d MiB given to data.loader=threads; the rest is decoded each "
                "time it is used, for which data.loader=tf is the faster choice",
                self._limit >> 20,
            )
