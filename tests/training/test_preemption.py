"""Requests to stop."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from sirr_jax.training.preemption import STOPPED, Interrupted, interrupting, stop_requests

BOTH = [signal.SIGTERM, signal.SIGINT]


@pytest.fixture(autouse=True)
def _handlers():
    """Handlers that a test may end with without ending pytest."""
    before = {number: signal.signal(number, ignore) for number in BOTH}
    yield
    for number, handler in before.items():
        assert signal.getsignal(number) is ignore, "the handler was not restored"
        signal.signal(number, handler)


def ignore(number, frame):
    received.append(number)


received: list[int] = []


def test_exit_code_is_that_of_a_temporary_failure():
    assert STOPPED == os.EX_TEMPFAIL == 75


@pytest.mark.parametrize("number", BOTH)
def test_signal_interrupts_before_the_first_step(number):
    with pytest.raises(Interrupted, match=number.name), interrupting():
        signal.raise_signal(number)


@pytest.mark.parametrize("number", BOTH)
def test_signal_is_noted_between_steps_and_a_second_one_has_its_usual_effect(number):
    received.clear()
    with interrupting(), stop_requests(10) as requested:
        assert not requested(1)
        signal.raise_signal(number)
        assert requested(2)
        assert not received
        signal.raise_signal(number)
        assert received == [number]


def test_interrupting_takes_over_again_after_the_steps():
    with interrupting():
        with stop_requests(10):
            pass
        with pytest.raises(Interrupted):
            signal.raise_signal(signal.SIGTERM)


def test_other_threads_handle_no_signals():
    def run():
        with interrupting(), stop_requests(10) as requested:
            results.append(requested(1))

    results = []
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert results == [False]
