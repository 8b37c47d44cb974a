"""Stop between two steps when asked to."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp


@contextlib.contextmanager
def stop_requests(every: int) -> Iterator[Callable[[int], bool]]:
    """Turn SIGTERM and SIGINT into a question that the loop asks between steps; a second one kills as usual.

    With several processes all of them must stop at the same step, so they ask together, at every log step.
    """
    asked = False
    before = {}

    def note(number: int, frame: Any) -> None:  # noqa: ARG001
        nonlocal asked
        asked = True
        signal.signal(number, before[number])

    try:
        for number in (signal.SIGTERM, signal.SIGINT):
            before[number] = signal.signal(number, note)
    except ValueError:  # not the main thread: the host program decides about signals
        before = {}

    def requested(step: int) -> bool:
        if jax.process_count() == 1:
            return asked
        if not every or step % every:
            return False
        from jax.experimental import multihost_utils

        return bool(multihost_utils.process_allgather(jnp.array(asked)).any())

    try:
        yield requested
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
