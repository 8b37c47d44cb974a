"""Limits the number of steps that are dispatched and not yet computed."""

from __future__ import annotations

from collections import deque
from typing import Any

import jax

_MAX_CALLS = 2


class DispatchLimiter:
    """Limits a CPU to two dispatched calls. On an accelerator only JAX's own limit applies.

    JAX queues about thirty calls. On an accelerator they take a second. On a CPU a step takes seconds, so a run that is
    asked to stop would need minutes to finish all queued calls, and a scheduler would kill it before. With one call
    always queued the CPU is never idle.
    """

    def __init__(self) -> None:
        """Starts with no dispatched calls."""
        self._limited = jax.default_backend() == "cpu"
        self._pending: deque[Any] = deque()

    def track(self, results: Any) -> None:
        """Adds a dispatched call; on a CPU, waits for the earliest one if there are too many.

        Args:
            results: arrays that the call will return.
        """
        if not self._limited:
            return
        self._pending.append(results)
        if len(self._pending) > _MAX_CALLS:
            jax.block_until_ready(self._pending.popleft())
