"""Time a published network here and in PyTorch, on the same accelerator: inference and a training step.

    python scripts/benchmark_torch.py errnet bdn --batch=16 --size=224

The PyTorch networks are the twins of tests/parity, with the published keys; both sides compute with the same weights,
and how far their answers are apart is printed first. A training step is L1 to a target, its gradients and Adam.
PyTorch runs as its users tune it: channels last, cuDNN's search for algorithms, TF32 for float32 as JAX does by
default, autocast for bfloat16; `--compile` adds `torch.compile`. Times are medians, with the 10th and 90th percentile,
of steps that are waited for one by one. Needs `pip install -e '.[torch,test]'`; nothing is written.
"""

from __future__ import annotations

import argparse
import importlib
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import torch
from rich.console import Console
from rich.table import Table

from sirr_jax.models import build
from sirr_jax.weights.convert import from_torch

_ROOT = Path(__file__).resolve().parents[1]
# Network and hyperparameters here; the twin's arguments; the compared output of ours, and of the twin.
_NETWORKS: dict[str, tuple[str, dict[str, Any], tuple[Any, ...], Callable[[Any], Any], Callable[[Any], Any]]] = {
    "errnet": ("errnet/generator", {"model_args": False}, (3, 256), lambda y: y["restored"], lambda y: y),
    "bdn": ("bdn/generator", {}, (64,), lambda y: y["steps"][-1], lambda y: y[-1]),
}
_BDN_SIDE = 128
_TYPES = {"float32": (jnp.float32, torch.float32), "bfloat16": (jnp.bfloat16, torch.bfloat16)}


def _timed(action: Callable[[], None], steps: int, warm_up: int) -> tuple[float, float, float]:
    seconds = []
    for i in range(warm_up + steps):
        start = time.perf_counter()
        action()
        if i >= warm_up:
            seconds.append((time.perf_counter() - start) * 1e3)
    tenths = statistics.quantiles(seconds, n=10, method="inclusive")  # within what was seen
    return statistics.median(seconds), tenths[0], tenths[-1]


class _Ours:
    """The network of this project, with the twin's weights."""

    def __init__(self, name: str, precision: str, state: dict[str, np.ndarray], image: np.ndarray) -> None:
        network, model_args, _, self.answer, _ = _NETWORKS[name]
        self.module = build(network, **model_args, dtype=_TYPES[precision][0])
        variables = from_torch(network, state, **model_args)
        variables.pop("passthrough", None)
        self.params, self.statistics = variables.pop("params"), variables
        self.optimizer = optax.adam(1e-4)
        self.opt_state = self.optimizer.init(self.params)
        self.image = jnp.asarray(image)
        self.target = self.image[::-1]
        self.inferred = jax.jit(self._apply)
        self.trained = jax.jit(self._step, donate_argnums=(0, 1, 2))

    def _apply(self, params: Any, statistics: Any, x: jax.Array) -> jax.Array:
        return self.answer(self.module.apply({"params": params, **statistics}, x))

    def _step(self, params: Any, statistics: Any, opt_state: Any, x: jax.Array, target: jax.Array) -> tuple[Any, ...]:
        def loss(params: Any) -> tuple[jax.Array, Any]:
            found, updated = self.module.apply(
                {"params": params, **statistics}, x, train=True, mutable=list(statistics)
            )
            return jnp.abs(self.answer(found) - target).mean(), updated

        (value, statistics), gradients = jax.value_and_grad(loss, has_aux=True)(params)
        updates, opt_state = self.optimizer.update(gradients, opt_state)
        return optax.apply_updates(params, updates), statistics, opt_state, value

    def infer(self) -> jax.Array:
        return self.inferred(self.params, self.statistics, self.image).block_until_ready()

    def train(self) -> None:
        *kept, value = self.trained(self.params, self.statistics, self.opt_state, self.image, self.target)
        self.params, self.statistics, self.opt_state = kept
        value.block_until_ready()


class _Theirs:
    """The twin."""

    def __init__(self, name: str, precision: str, twin: torch.nn.Module, image: np.ndarray, *, compiled: bool) -> None:
        self.answer = _NETWORKS[name][4]
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.type = _TYPES[precision][1]
        self.twin = twin.to(self.device, memory_format=torch.channels_last)
        self.network = torch.compile(self.twin) if compiled else self.twin
        first = torch.from_numpy(np.moveaxis(image, -1, 1).copy())
        self.image = first.to(self.device, memory_format=torch.channels_last)
        self.target = self.image.flip(0)
        self.optimizer = torch.optim.Adam(self.twin.parameters(), 1e-4, fused=True)

    def _apply(self) -> torch.Tensor:
        with torch.autocast(self.device, torch.bfloat16, enabled=self.type == torch.bfloat16):
            return self.answer(self.network(self.image)).float()

    def _wait(self) -> None:
        if self.device == "cuda":
            torch.cuda.synchronize()

    def infer(self) -> torch.Tensor:
        self.network.eval()
        with torch.no_grad():
            found = self._apply()
        self._wait()
        return found

    def train(self) -> None:
        self.network.train()
        self.optimizer.zero_grad(set_to_none=True)
        (self._apply() - self.target).abs().mean().backward()
        self.optimizer.step()
        self._wait()


def _twin(name: str) -> tuple[torch.nn.Module, dict[str, np.ndarray]]:
    published = importlib.import_module("tests.helpers.published")
    twin = importlib.import_module(f"tests.parity.test_{name}").Twin(*_NETWORKS[name][2])
    state = published.fill_random({key: tuple(value.shape) for key, value in twin.state_dict().items()})
    twin.load_state_dict({key: torch.from_numpy(value) for key, value in state.items()})
    return twin, state


def main() -> int:
    """Measure and print; returns the exit code."""
    parser = argparse.ArgumentParser(description="Time networks here and in PyTorch.")
    parser.add_argument("networks", nargs="+", choices=list(_NETWORKS))
    parser.add_argument("--batch", type=int, default=16, help="images a step (default: 16)")
    parser.add_argument("--size", type=int, default=224, help="their side in pixels (default: 224)")
    parser.add_argument("--precision", nargs="+", choices=list(_TYPES), default=list(_TYPES))
    parser.add_argument("--steps", type=int, default=30, help="steps to time (default: 30)")
    parser.add_argument("--warm_up", type=int, default=5, help="steps to take first (default: 5)")
    parser.add_argument("--compile", action="store_true", help="time torch.compile too")
    chosen = parser.parse_args()
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # two frameworks share the memory
    if chosen.steps < 2:
        parser.error(f"--steps {chosen.steps}: a spread takes 2 or more")
    if "bdn" in chosen.networks and chosen.size < _BDN_SIDE:
        parser.error(f"--size {chosen.size}: bdn halves an image seven times; choose {_BDN_SIDE} or more")
    if torch.cuda.is_available() != (jax.default_backend() == "gpu"):
        parser.error("one of JAX and torch sees a GPU and the other does not; install both for the same device")
    sys.path.insert(0, str(_ROOT))
    torch.backends.cudnn.benchmark = True
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True

    console = Console(width=110)
    device = f"{jax.devices()[0].device_kind}; jax {jax.__version__}, torch {torch.__version__}"
    table = Table(title=f"{chosen.batch} images of {chosen.size} px a step; {device}")
    for column in ("", "compute_dtype", "with", "inference ms", "p10", "p90", "training ms", "p10", "p90"):
        table.add_column(column, justify="right" if column.endswith(("ms", "0")) else "left")
    for name in chosen.networks:
        for precision in chosen.precision:
            twin, state = _twin(name)
            rng = np.random.default_rng(1)
            image = rng.uniform(0, 1, (chosen.batch, chosen.size, chosen.size, 3)).astype(np.float32)
            sides: list[tuple[str, _Ours | _Theirs]] = [
                ("torch", _Theirs(name, precision, twin, image, compiled=False)),
                ("sirr_jax", _Ours(name, precision, state, image)),
            ]
            if chosen.compile:
                sides.insert(1, ("torch.compile", _Theirs(name, precision, _twin(name)[0], image, compiled=True)))
            expected = np.moveaxis(sides[0][1].infer().cpu().numpy(), 1, -1)
            found = np.asarray(sides[-1][1].infer(), np.float32)
            apart = np.linalg.norm(found - expected) / np.linalg.norm(expected)
            console.print(f"{name}, {precision}: answers {apart:.1e} of their size apart")
            for label, side in sides:
                inference = _timed(side.infer, chosen.steps, chosen.warm_up)
                training = _timed(side.train, chosen.steps, chosen.warm_up)
                table.add_row(name, precision, label, *(f"{number:.2f}" for number in (*inference, *training)))
                # At once, in short: the table comes last, and may not come.
                console.print(f"{name}, {precision}, {label}: {inference[0]:.2f} ms, training {training[0]:.2f} ms")
            del sides, twin
    console.print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
