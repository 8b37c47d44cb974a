"""Stops a run on SIGTERM or SIGINT: at once before its first step, between two steps afterwards."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from typing import Any

STOPPED = os.EX_TEMPFAIL if hasattr(os, "EX_TEMPFAIL") else 75
"""Exit code of a run that was asked to stop: 75, `EX_TEMPFAIL` of sysexits.h (run it again)."""

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Interrupted(KeyboardInterrupt):
    """A request to stop while nothing can be saved: before the first step."""


class _Interrupt:
    """Signal handler that raises `Interrupted` and restores the handler before it.

    Attributes:
        before: handler before it.
    """

    def __init__(self, before: Any) -> None:
        self.before = before

    def __call__(self, number: int, frame: Any) -> None:
        """Handles a signal."""
        del frame
        signal.signal(number, self.before)
        raise Interrupted(signal.Signals(number).name)


@contextlib.contextmanager
def interrupting() -> Iterator[None]:
    """Raises `Interrupted` on SIGTERM and SIGINT, as long as `stop_requests` does not take over.

    A second signal of the same kind has its usual effect. Does nothing outside the main thread.
    """
    with _handlers(_Interrupt):
        yield


@contextlib.contextmanager
def stop_requests(every: int) -> Iterator[Callable[[int], bool]]:
    """Catches SIGTERM and SIGINT. A second signal of the same kind has its usual effect.

    Several processes must stop at the same step, so they exchange their requests at every log step.

    Args:
        every: number of steps between two exchanges of several processes.

    Yields:
        Function from the number of finished steps to whether to stop.
    """
    import jax
    import jax.numpy as jnp

    signaled = False

    def noting(before: Any) -> Callable[[int, Any], None]:
        usual = before.before if isinstance(before, _Interrupt) else before

        def note(number: int, frame: Any) -> None:  # noqa: ARG001
            nonlocal signaled
            signaled = True
            signal.signal(number, usual)

        return note

    def requested(step: int) -> bool:
        if jax.process_count() == 1:
            return signaled
        if not every or step % every:
            return False
        from jax.experimental import multihost_utils

        return bool(multihost_utils.process_allgather(jnp.array(signaled)).any())

    with _handlers(noting):
        yield requested


@contextlib.contextmanager
def _handlers(make: Callable[[Any], Callable[[int, Any], None]]) -> Iterator[None]:
    """Replaces the handlers of both signals by `make(handler before)`."""
    before: dict[int, Any] = {}
    try:
        try:
            for number in _SIGNALS:
                before[number] = signal.getsignal(number) or signal.SIG_DFL  # None: not set by Python
                signal.signal(number, make(before[number]))
        except ValueError:  # only the main thread may handle signals
            before = {}
        yield
    finally:
        for caught, handler in before.items():
            signal.signal(caught, handler)
