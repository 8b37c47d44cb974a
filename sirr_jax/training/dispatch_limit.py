"""How far the host may be ahead of its devices."""

from __future__ import annotations

from collections import deque
from typing import Any

import jax

_CALLS = 2


class DispatchLimiter:
    """Lets the host be two calls ahead of a CPU, and as far ahead of an accelerator as JAX lets it be.

    JAX queues some thirty calls. On an accelerator that is a second; on a CPU, where a step takes seconds, whoever
    asks the run to stop would wait minutes for all of them, and a scheduler kills what has not stopped by then. With
    one call always queued the CPU is never idle.
    """

    def __init__(self) -> None:
        """Nothing is on its way yet."""
        self._limited = jax.default_backend() == "cpu"
        self._on_the_way: deque[Any] = deque()

    def track(self, results: Any) -> None:
        """Take note of a call by what it will return; wait for an earlier one where there are too many."""
        if not self._limited:
            return
        self._on_the_way.append(results)
        if len(self._on_the_way) > _CALLS:
            jax.block_until_ready(self._on_the_way.popleft())
