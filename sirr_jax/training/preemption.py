"""Stops a run between two steps on SIGTERM or SIGINT."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp


@contextlib.contextmanager
def stop_requests(every: int) -> Iterator[Callable[[int], bool]]:
    """Catches SIGTERM and SIGINT. A second signal of the same kind has its usual effect.

    Several processes must stop at the same step, so they exchange their requests at every log step.

    Args:
        every: number of steps between two exchanges of several processes.

    Yields:
        Function from the number of finished steps to whether to stop.
    """
    signaled = False
    before: dict[int, Any] = {}

    def note(number: int, frame: Any) -> None:  # noqa: ARG001
        nonlocal signaled
        signaled = True
        signal.signal(number, before[number])

    try:
        for number in (signal.SIGTERM, signal.SIGINT):
            before[number] = signal.signal(number, note)
    except ValueError:  # only the main thread may handle signals
        before = {}

    def requested(step: int) -> bool:
        if jax.process_count() == 1:
            return signaled
        if not every or step % every:
            return False
        from jax.experimental import multihost_utils

        return bool(multihost_utils.process_allgather(jnp.array(signaled)).any())

    try:
        yield requested
    finally:
        for restored, handler in before.items():
            signal.signal(restored, handler)
