"""Data parallelism over two CPU devices."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sirr_jax.errors import UserError
from sirr_jax.training import parallel


def _averaging(state, batch):
    total = parallel.average(batch.sum())
    return state + total, {"total": total}


def _not_averaging(state, batch):
    return state + batch.sum(), {"total": parallel.average(batch.sum())}


def test_parallelize_averages_over_devices_and_keeps_the_state_replicated():
    batch = parallel.shard_batch(np.arange(4, dtype=np.float32))
    state, scalars = parallel.parallelize(_averaging)(parallel.replicate(np.float32(1)), batch)
    assert float(state) == 1 + 3.0
    assert float(scalars["total"]) == 3.0
    assert parallel.to_host({"state": state})["state"] == 4.0


def test_trace_checked_rejects_outputs_that_were_not_averaged():
    batch = parallel.shard_batch(np.arange(4, dtype=np.float32))
    parallel.trace_checked(_averaging, np.float32(1), batch)
    with pytest.raises(ValueError, match=r"varying|replicat"):
        parallel.trace_checked(_not_averaging, np.float32(1), batch)


def test_check_replicas_detects_devices_that_disagree():
    batch = parallel.shard_batch(np.arange(4, dtype=np.float32))
    state, _ = parallel.parallelize(_not_averaging)(parallel.replicate(np.float32(1)), batch)
    with pytest.raises(RuntimeError, match=r"devices disagree about \['state'\]"):
        parallel.check_replicas({"state": state})
    parallel.check_replicas({"state": parallel.replicate(np.float32(1))})


def test_on_host_uses_the_first_cpu_device(monkeypatch):
    with jax.default_device(jax.devices()[1]):
        with parallel.on_host():
            x = jnp.ones(3) + 1
        assert x.devices() == {jax.devices()[0]}
        assert not x.committed  # it may be moved to another device

        def denied(*, backend):
            raise RuntimeError(f"Unknown backend: {backend!r} requested")

        monkeypatch.setattr(jax, "local_devices", denied)
        with parallel.on_host():
            assert jnp.ones(3).devices() == {jax.devices()[1]}


def test_to_host_copies():
    x = parallel.replicate(np.arange(3.0, dtype=np.float32))
    host = parallel.to_host(x)
    host[0] = 99
    np.testing.assert_array_equal(np.asarray(x), [0, 1, 2])


def test_varying_keeps_gradients_local():
    def step(state, batch):
        gradient = jax.grad(lambda w: (parallel.varying(w) * batch).sum())(state)
        local = jax.grad(lambda w: (w * batch).sum())(parallel.varying(state))
        return state, {"mean": parallel.average(local), "device": parallel.average(gradient)}

    _, scalars = parallel.parallelize(step)(jnp.ones(()), parallel.shard_batch(np.arange(4, dtype=np.float32)))
    assert float(scalars["mean"]) == 3.0


def test_batch_that_is_not_divisible_by_the_devices_is_an_error():
    with pytest.raises(UserError, match=r"3 samples cannot be divided among 2 devices.*multiple of 2"):
        parallel.shard_batch(np.zeros((3, 1)))


def test_invalid_process_numbers_are_errors(monkeypatch):
    monkeypatch.delenv("JAX_COORDINATOR_ADDRESS", raising=False)
    with pytest.raises(UserError, match="need --coordinator_address=HOST:PORT"):
        parallel.start_processes(num_processes=2)
    with pytest.raises(UserError, match="--process_id=2: expected 0 to 1"):
        parallel.start_processes("localhost:1234", 2, 2)
    with pytest.raises(UserError, match="--num_processes=0: expected 1 or more"):
        parallel.start_processes("localhost:1234", 0, 0)
