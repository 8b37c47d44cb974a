"""Runs of two processes with one CPU device each, as on a cluster."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import jax
import numpy as np
import pytest

from sirr_jax.training import trainer
from sirr_jax.weights.model_file import load_model
from sirr_jax.weights.variables import flatten

_WORKER = """
import signal, sys
import jax
jax.config.update("jax_platforms", "cpu")
folder, workdir, address, index, stop_after, spoiled = sys.argv[1:]
jax.distributed.initialize(address, 2, int(index))
sys.path.insert(0, folder)
from sirr_jax.errors import UserError
from tests.training import conftest
from sirr_jax.training import trainer
from sirr_jax.training.metric_logger import MetricLogger
trainer.get_recipe = lambda name: conftest.Toy
append, calls = MetricLogger.append, []
def interrupt(self, scalars):
    calls.append(scalars)
    if len(calls) == int(stop_after):
        signal.raise_signal(signal.SIGTERM)
    append(self, scalars)
MetricLogger.append = interrupt
config = conftest.make_config()
try:
    if spoiled:
        config.eval_every, config.data.validation = 2, "/no/such/folder"  # which process 0 alone reads
    trainer.train(config, workdir)
except UserError as error:
    print(f"process {index}: {error}", flush=True)
    sys.exit(2)
"""


def start_two(workdir, stop_after=(0, 0), spoiled=""):
    """Runs two processes to their end; returns their exit codes and their output."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        address = f"localhost:{free.getsockname()[1]}"
    command = [sys.executable, "-c", _WORKER, str(Path(__file__).parents[2]), str(workdir), address]
    with tempfile.TemporaryFile() as output:
        both = [
            subprocess.Popen([*command, str(i), str(stop_after[i]), spoiled], stdout=output, stderr=subprocess.STDOUT)
            for i in range(2)
        ]
        deadline = time.monotonic() + 240
        while None in (codes := [process.poll() for process in both]) and time.monotonic() < deadline:
            if any(codes) and not spoiled:  # the other process waits for it
                break
            time.sleep(0.1)
        for process in both:
            process.kill()
            process.wait()
        output.seek(0)
        return codes, output.read().decode()


def train_in_two(workdir, stop_after=(0, 0)):
    """Runs two processes to their end. Each receives SIGTERM after `stop_after` steps (0: never)."""
    codes, output = start_two(workdir, stop_after)
    assert codes == [0, 0], output


def weights(workdir):
    return flatten(load_model(workdir / "models" / "toy.safetensors").networks["student"].variables)


def losses(workdir):
    lines = map(json.loads, (workdir / "scalars.jsonl").read_text().splitlines())
    return [(line["step"], line["generator/loss"]) for line in lines]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("processes") / "two"
    train_in_two(workdir)
    return workdir


@pytest.mark.slow
def test_two_processes_give_the_result_of_two_devices(toy_config, tmp_path, whole):
    assert jax.device_count() == 2
    trainer.train(toy_config, tmp_path)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-6, atol=1e-6), weights(tmp_path), weights(whole))
    (steps, values), (same_steps, same_values) = (zip(*losses(run), strict=True) for run in (tmp_path, whole))
    assert steps == same_steps
    np.testing.assert_allclose(values, same_values, rtol=1e-5)


@pytest.mark.slow
def test_sigterm_of_one_process_stops_both_and_the_run_resumes(tmp_path, whole):
    train_in_two(tmp_path / "parts", stop_after=(0, 3))  # only the second one, between two log steps
    assert max(int(path.name) for path in (tmp_path / "parts" / "checkpoints").iterdir()) == 4
    train_in_two(tmp_path / "parts")
    jax.tree.map(np.testing.assert_array_equal, weights(whole), weights(tmp_path / "parts"))


@pytest.mark.slow
def test_error_of_one_process_ends_both_with_a_line(tmp_path):
    started = time.monotonic()
    codes, output = start_two(tmp_path, spoiled="validation")
    assert codes == [2, 2], output
    messages = sorted(line for line in output.splitlines() if line.startswith("process "))
    assert messages[0].startswith("process 0: /no/such/folder")
    assert messages[1].startswith("process 1: process 0 of the run has ended: /no/such/folder")
    assert time.monotonic() - started < 60  # JAX's heartbeat would take longer
