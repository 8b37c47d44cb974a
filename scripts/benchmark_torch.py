"""Measures inference and training time of a published network in sirr_jax and in PyTorch, on the same device.

    python scripts/benchmark_torch.py errnet bdn --batch=16 --size=224

The PyTorch networks are the reimplementations in tests/parity, with the published keys. Both sides have the same
weights; the relative difference of their outputs is printed first. A training step is an L1 loss, its gradients and
Adam. PyTorch is tuned: channels last, cuDNN's search for algorithms, TF32 for float32 (JAX's default), autocast for
bfloat16; `--compile` adds `torch.compile`. Times are medians, with the 10th and 90th percentile, of steps that are
awaited one by one. Needs `pip install -e '.[torch,test]'`; nothing is written.
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
# Network id, its arguments, arguments of the PyTorch twin, compared output of the network, and that of the twin.
_NETWORKS: dict[str, tuple[str, dict[str, Any], tuple[Any, ...], Callable[[Any], Any], Callable[[Any], Any]]] = {
    "errnet": ("errnet/generator", {"hypercolumn": False}, (3, 256), lambda y: y["restored"], lambda y: y),
    "bdn": ("bdn/generator", {}, (64,), lambda y: y["steps"][-1], lambda y: y[-1]),
}
_BDN_SIDE = 128
_DTYPES = {"float32": (jnp.float32, torch.float32), "bfloat16": (jnp.bfloat16, torch.bfloat16)}


def _timed(action: Callable[[], None], steps: int, warm_up: int) -> tuple[float, float, float]:
    seconds = []
    for i in range(warm_up + steps):
        start = time.perf_counter()
        action()
        if i >= warm_up:
            seconds.append((time.perf_counter() - start) * 1e3)
    tenths = statistics.quantiles(seconds, n=10, method="inclusive")  # within the measured range
    return statistics.median(seconds), tenths[0], tenths[-1]


class _JaxSide:
    """The network of sirr_jax, with the weights of the twin."""

    def __init__(self, name: str, dtype: str, state: dict[str, np.ndarray], image: np.ndarray) -> None:
        network, model_args, _, self.output, _ = _NETWORKS[name]
        self.module = build(network, **model_args, dtype=_DTYPES[dtype][0])
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
        return self.output(self.module.apply({"params": params, **statistics}, x))

    def _step(self, params: Any, statistics: Any, opt_state: Any, x: jax.Array, target: jax.Array) -> tuple[Any, ...]:
        def loss(params: Any) -> tuple[jax.Array, Any]:
            outputs, updated = self.module.apply(
                {"params": params, **statistics}, x, train=True, mutable=list(statistics)
            )
            return jnp.abs(self.output(outputs) - target).mean(), updated

        (value, statistics), gradients = jax.value_and_grad(loss, has_aux=True)(params)
        updates, opt_state = self.optimizer.update(gradients, opt_state)
        return optax.apply_updates(params, updates), statistics, opt_state, value

    def infer(self) -> jax.Array:
        return self.inferred(self.params, self.statistics, self.image).block_until_ready()

    def train(self) -> None:
        *updated, value = self.trained(self.params, self.statistics, self.opt_state, self.image, self.target)
        self.params, self.statistics, self.opt_state = updated
        value.block_until_ready()


class _TorchSide:
    """The PyTorch twin."""

    def __init__(self, name: str, dtype: str, twin: torch.nn.Module, image: np.ndarray, *, compiled: bool) -> None:
        self.output = _NETWORKS[name][4]
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.dtype = _DTYPES[dtype][1]
        self.twin = twin.to(self.device, memory_format=torch.channels_last)
        self.network = torch.compile(self.twin) if compiled else self.twin
        first = torch.from_numpy(np.moveaxis(image, -1, 1).copy())
        self.image = first.to(self.device, memory_format=torch.channels_last)
        self.target = self.image.flip(0)
        self.optimizer = torch.optim.Adam(self.twin.parameters(), 1e-4, fused=True)

    def _apply(self) -> torch.Tensor:
        with torch.autocast(self.device, torch.bfloat16, enabled=self.dtype == torch.bfloat16):
            return self.output(self.network(self.image)).float()

    def _wait(self) -> None:
        if self.device == "cuda":
            torch.cuda.synchronize()

    def infer(self) -> torch.Tensor:
        self.network.eval()
        with torch.no_grad():
            output = self._apply()
        self._wait()
        return output

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
    """Prints the measurements; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="+", choices=list(_NETWORKS), help="networks to measure")
    parser.add_argument("--batch", type=int, default=16, help="images per step (default: 16)")
    parser.add_argument("--size", type=int, default=224, help="side of the images in pixels (default: 224)")
    parser.add_argument(
        "--dtype", nargs="+", choices=list(_DTYPES), default=list(_DTYPES), help="compute dtypes (default: both)"
    )
    parser.add_argument("--steps", type=int, default=30, help="steps to measure (default: 30)")
    parser.add_argument("--warm_up", type=int, default=5, help="steps before the measurement (default: 5)")
    parser.add_argument("--compile", action="store_true", help="also measure torch.compile")
    args = parser.parse_args()
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # two frameworks share the memory
    if args.steps < 2:
        parser.error(f"--steps is {args.steps}; percentiles need 2 or more")
    if "bdn" in args.networks and args.size < _BDN_SIDE:
        parser.error(f"--size is {args.size}; bdn halves an image seven times: choose {_BDN_SIDE} or more")
    if torch.cuda.is_available() != (jax.default_backend() == "gpu"):
        parser.error("only one of JAX and PyTorch has a GPU; install both for the same device")
    sys.path.insert(0, str(_ROOT))
    torch.backends.cudnn.benchmark = True
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True

    console = Console(width=110)
    device = f"{jax.devices()[0].device_kind}; jax {jax.__version__}, torch {torch.__version__}"
    table = Table(title=f"{args.batch} images of {args.size} px a step; {device}")
    for column in ("", "compute_dtype", "with", "inference ms", "p10", "p90", "training ms", "p10", "p90"):
        table.add_column(column, justify="right" if column.endswith(("ms", "0")) else "left")
    for name in args.networks:
        for dtype in args.dtype:
            twin, state = _twin(name)
            rng = np.random.default_rng(1)
            image = rng.uniform(0, 1, (args.batch, args.size, args.size, 3)).astype(np.float32)
            sides: list[tuple[str, _JaxSide | _TorchSide]] = [
                ("torch", _TorchSide(name, dtype, twin, image, compiled=False)),
                ("sirr_jax", _JaxSide(name, dtype, state, image)),
            ]
            if args.compile:
                sides.insert(1, ("torch.compile", _TorchSide(name, dtype, _twin(name)[0], image, compiled=True)))
            expected = np.moveaxis(sides[0][1].infer().cpu().numpy(), 1, -1)
            actual = np.asarray(sides[-1][1].infer(), np.float32)
            difference = np.linalg.norm(actual - expected) / np.linalg.norm(expected)
            console.print(f"{name}, {dtype}: relative difference of the outputs {difference:.1e}")
            for label, side in sides:
                inference = _timed(side.infer, args.steps, args.warm_up)
                training = _timed(side.train, args.steps, args.warm_up)
                table.add_row(name, dtype, label, *(f"{number:.2f}" for number in (*inference, *training)))
                # Printed immediately, because an interrupted run prints no table.
                console.print(f"{name}, {dtype}, {label}: {inference[0]:.2f} ms, training {training[0]:.2f} ms")
            del sides, twin
    console.print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
