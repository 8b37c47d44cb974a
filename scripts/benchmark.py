"""Times a training stage: step on resident batches, data loader alone, both together; compile time, peak memory.

    python scripts/benchmark.py --config=configs/dynamics.py:tiny --cpu_devices=2
    python scripts/benchmark.py --config=configs/dynamics.py:base --stage=student --config.compute_dtype=bfloat16

Times are medians, with the 10th and 90th percentile, of calls that are waited for one by one, each of
`config.scan_steps` steps. Nothing is written.
"""

from __future__ import annotations

import resource
import statistics
import sys
import time
from collections.abc import Callable

import jax
from absl import flags
from ml_collections import config_flags
from rich.console import Console
from rich.table import Table

from sirr_jax.data.training_data import TrainingData
from sirr_jax.recipes import get_recipe
from sirr_jax.training import parallel
from sirr_jax.training.device_batches import to_devices
from sirr_jax.training.optimizers import make_optimizer
from sirr_jax.training.state import create_state, learning_networks
from sirr_jax.training.train_step import Settings, build_step, scan_steps

_CONFIG = config_flags.DEFINE_config_file("config", lock_config=True)
_STAGE = flags.DEFINE_string("stage", "teacher", "Stage of the recipe to time.")
_STEPS = flags.DEFINE_integer("steps", 30, "Calls to time.")
_WARM_UP = flags.DEFINE_integer("warm_up", 5, "Calls to make first.")
_CPU_DEVICES = flags.DEFINE_integer("cpu_devices", 0, "Use the CPU as this many devices.")


def _timed(action: Callable[[], object], steps: int) -> list[float]:
    seconds = []
    for _ in range(steps):
        start = time.perf_counter()
        jax.block_until_ready(action())
        seconds.append(time.perf_counter() - start)
    return seconds


def _peak_memory() -> str:
    stats = jax.local_devices()[0].memory_stats()
    if stats and "peak_bytes_in_use" in stats:
        return f"{stats['peak_bytes_in_use'] / 2**20:.0f} MiB on the first device"
    return f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10:.0f} MiB, the whole process"


def main(argv: list[str]) -> int:
    """Measure and print; returns the exit code."""
    flags.FLAGS(argv)
    if _CPU_DEVICES.value:
        jax.config.update("jax_platforms", "cpu")
        jax.config.update("jax_num_cpu_devices", _CPU_DEVICES.value)
    config, steps = _CONFIG.value, _STEPS.value
    recipe = get_recipe(config.recipe)(config)
    names = [stage.name for stage in recipe.stages]
    if _STAGE.value not in names:
        print(f"no stage {_STAGE.value!r}; this config has {', '.join(names)}", file=sys.stderr)
        return 2
    index = names.index(_STAGE.value)
    data = TrainingData.from_config(config, [recipe.stages[index]], parallel.device_count())
    optimizers = {n: make_optimizer(config.optimizer, n, u) for n, u in learning_networks(recipe).items()}
    state = parallel.replicate(create_state(recipe, optimizers, jax.random.key(config.seed)))
    step = build_step(recipe, index, 0, optimizers, Settings(config.seed, config.grad_accum_steps))
    at_once = config.scan_steps
    call = parallel.parallelize(scan_steps(step, at_once))
    rows = {}

    with data.batches(0, 0) as loader:
        batches = to_devices(loader, at_once)
        raw = next(batches)
        start = time.perf_counter()
        state, scalars = call(state, raw)
        jax.block_until_ready(scalars)
        compile_seconds = time.perf_counter() - start

        def resident() -> object:
            nonlocal state
            state, scalars = call(state, raw)
            return scalars

        def fed() -> object:
            nonlocal state
            state, scalars = call(state, next(batches))
            return scalars

        _timed(resident, _WARM_UP.value)
        rows["step, resident batch"] = _timed(resident, steps)
        _timed(fed, _WARM_UP.value)
        rows["step, fed by the loader"] = _timed(fed, steps)

        def produced() -> object:
            for _ in range(at_once):
                batch = next(loader)
            return batch

        _timed(produced, _WARM_UP.value)
        rows["loader alone"] = _timed(produced, steps)

    device = f"{parallel.device_count()} x {jax.devices()[0].device_kind}"
    mix = ", ".join(f"{n} {kind}" for kind, n in data.counts[0].items())
    title = f"{config.recipe}, {config.width}, stage {_STAGE.value}, crop {config.data.crop}, {config.compute_dtype}; "
    table = Table(title=title + f"{mix} per step; {device}; jax {jax.__version__}")
    for name in ("", "median ms a step", "p10", "p90", "images/s"):
        table.add_column(name, justify="left" if not name else "right")
    for name, seconds in rows.items():
        tenths = statistics.quantiles(seconds, n=10)
        median = statistics.median(seconds)
        milliseconds = (1e3 * value / at_once for value in (median, tenths[0], tenths[-1]))
        numbers = (*milliseconds, config.batch_size * at_once / median)
        table.add_row(name, *(f"{number:.1f}" for number in numbers))
    console = Console()
    console.print(table)
    console.print(f"first call, with its compilation: {compile_seconds:.1f} s; peak memory: {_peak_memory()}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
