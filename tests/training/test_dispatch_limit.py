"""The limit on dispatched calls."""

from __future__ import annotations

import jax
import pytest

from sirr_jax.training.dispatch_limit import DispatchLimiter


class Pending:
    """Result of a call; records when it is waited for."""

    def __init__(self, number, waited):
        self.number, self.waited = number, waited

    def block_until_ready(self):
        self.waited.append(self.number)


@pytest.mark.parametrize(("backend", "expected"), [("cpu", [0, 1, 2]), ("gpu", [])])
def test_host_waits_for_the_third_last_call_on_cpu_only(monkeypatch, backend, expected):
    monkeypatch.setattr(jax, "default_backend", lambda: backend)
    limiter, waited = DispatchLimiter(), []
    for number in range(5):
        limiter.track({"loss": Pending(number, waited)})
    assert waited == expected
