"""The training loop: one for every recipe."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
import optax
from ml_collections import ConfigDict

from sirr_jax.data.training_data import TrainingData
from sirr_jax.json_text import to_json
from sirr_jax.recipes import Recipe, get_recipe
from sirr_jax.recipes.base import Start
from sirr_jax.training import parallel
from sirr_jax.training.checkpoints import Checkpoints
from sirr_jax.training.config_checks import check_training
from sirr_jax.training.device_batches import to_devices
from sirr_jax.training.dispatch_limit import DispatchLimiter
from sirr_jax.training.evaluator import Evaluator
from sirr_jax.training.export import export
from sirr_jax.training.metric_logger import MetricLogger
from sirr_jax.training.metric_writers import Writer
from sirr_jax.training.optimizers import make_optimizer
from sirr_jax.training.preemption import stop_requests
from sirr_jax.training.processes import failing_together, from_first
from sirr_jax.training.progress import ProgressBar
from sirr_jax.training.state import TrainState, create_state, learning_networks
from sirr_jax.training.train_step import Settings, build_step, scan_steps
from sirr_jax.training.workdir import claimed

_log = logging.getLogger(__name__)


# Checkpoints between two comparisons of the devices, which copy every replica to the host.
_COMPARE_EVERY = 10


class Outcome(NamedTuple):
    """What has become of a run.

    Attributes:
        workdir: folder of the run.
        step: number of finished steps.
        total: number of steps of the run.
    """

    workdir: Path
    step: int
    total: int

    @property
    def finished(self) -> bool:
        """Whether the run has ended; False if it was asked to stop."""
        return self.step >= self.total


class _Prepared(NamedTuple):
    recipe: Recipe
    data: TrainingData
    optimizers: dict[str, optax.GradientTransformation]
    evaluator: Evaluator | None
    checkpoints: Checkpoints
    state: TrainState
    notes: list[str]


def train(config: ConfigDict, workdir: str | Path) -> Outcome:
    """Runs, or resumes, the training that a config describes.

    Writes to `workdir`: `config.json`, `metadata.txt`, `checkpoints/`, `frozen/`, `scalars.jsonl`, `panels/`,
    `tensorboard/` and, at the end, `models/*.safetensors` and `scores.json`. On SIGTERM or Ctrl-C it saves a checkpoint
    after the current step, writes the networks that have been trained so far, and returns; running it again resumes
    there. Resuming with a different config is an error, except for log, evaluation and checkpoint intervals, learning
    rates, clipping and compute dtype; changes of the last three are written to `changes.txt`.

    Args:
        config: config of a file in `configs/`.
        workdir: folder of the run; created if missing.

    Returns:
        The folder and the number of finished steps.

    Raises:
        UserError: The config, the data or the folder cannot be used, on this or on another process of the run.
        FloatingPointError: A loss is not finite; the message names the step. Nothing is saved after that step.
    """
    workdir = Path(workdir)
    with contextlib.ExitStack() as held:
        return _train(config, workdir, held)


def _train(config: ConfigDict, workdir: Path, held: contextlib.ExitStack) -> Outcome:
    primary = jax.process_index() == 0
    with failing_together():
        held.enter_context(claimed(workdir))
        prepared = _prepare(config, workdir, held)
    recipe, data, optimizers, evaluator, checkpoints, state, notes = prepared
    state = from_first(state)  # process 0 alone reads checkpoints
    step, total, at_once = int(state.step), sum(stage.steps for stage in recipe.stages), config.scan_steps
    writer = None
    with failing_together():
        checkpoints.record_config(step, total=total)  # now that nothing else can be refused
        if primary:
            _write_metadata(workdir, notes)
            writer = held.enter_context(contextlib.closing(Writer(workdir, step)))
    state = parallel.replicate(state)
    settings = Settings(config.seed, config.grad_accum_steps, config.ema_decay)

    # --- stages ---------------------------------------------------------------------------------------------------
    stop_requested = held.enter_context(stop_requests(config.log_every))
    bar = held.enter_context(ProgressBar(total, step))
    last, limiter, saved = 0, DispatchLimiter(), 0
    for index, stage in enumerate(recipe.stages):
        first, last = last, last + stage.steps
        if step >= last:
            continue
        bar.stage(stage.name)
        if int(parallel.first_replica(state).stage) < index:
            state = _begin(stage.begin, state, index)
        frozen = state.params.keys() - {name for update in stage.updates for name in update.learns}
        one_step = build_step(recipe, index, first, optimizers, settings)
        call = parallel.parallelize(scan_steps(one_step, at_once))
        metric_logger = MetricLogger(writer, bar, stage.name, step, total, config.batch_size)
        with contextlib.closing(data.batches(index, step)) as loader:
            batches = to_devices(loader, at_once)
            for step, raw in zip(range(step + at_once, last + 1, at_once), batches, strict=False):  # noqa: B020
                state, scalars = call(state, raw)
                metric_logger.append(scalars)
                limiter.track(scalars)
                stopping = stop_requested(step)
                ending = step == last or stopping
                if ending or _due(step, config.log_every):
                    _check_finite(state, workdir)
                    metric_logger.flush(step)
                if evaluator and writer and _due(step, config.eval_every, last=step == last):
                    evaluator.evaluate(step, state, writer)
                if evaluator and writer and _due(step, config.log_images_every, last=step == last):
                    evaluator.panel(step, state, writer)
                if ending or _due(step, config.checkpoint_every):
                    _check_finite(state, workdir)
                    if ending or saved % _COMPARE_EVERY == 0:
                        parallel.check_replicas(state)
                    saved += 1
                    checkpoints.save(step, parallel.to_host(state), frozen=frozen)
                if stopping and step < total:
                    checkpoints.wait()
                    if primary:
                        export(recipe, parallel.to_host(state), workdir, notes)
                    _log.warning(
                        "stopped at step %d/%d; checkpoint and models saved. Run the same command to resume.",
                        step,
                        total,
                    )
                    return Outcome(workdir, step, total)

    # --- results --------------------------------------------------------------------------------------------------
    checkpoints.wait()
    if primary:
        export(recipe, parallel.to_host(state), workdir, notes)
    if evaluator and config.eval_every:
        text = to_json(evaluator.scores(step, state), indent=2) + "\n"
        (workdir / "scores.json").write_text(text, encoding="utf-8")
    return Outcome(workdir, step, total)


def _prepare(config: ConfigDict, workdir: Path, held: contextlib.ExitStack) -> _Prepared:
    """Does everything that can fail before the first step; nothing in it waits for other processes."""
    recipe = get_recipe(config.recipe)(config)
    check_training(config, recipe.stages)
    data = TrainingData.from_config(
        config,
        recipe.stages,
        parallel.device_count(),
        process_index=jax.process_index(),
        process_count=jax.process_count(),
    )
    optimizers = {
        name: make_optimizer(config.optimizer, name, updates) for name, updates in learning_networks(recipe).items()
    }
    checkpoints = Checkpoints(workdir, config.to_dict(), max_to_keep=config.max_to_keep)
    held.enter_context(contextlib.closing(checkpoints))
    evaluates = config.eval_every or config.log_images_every
    evaluator = Evaluator(recipe, config) if evaluates and jax.process_index() == 0 else None
    state = create_state(recipe, optimizers, jax.random.key(config.seed))
    if (restored := checkpoints.restore(state)) is not None:
        state = restored
        total = sum(stage.steps for stage in recipe.stages)
        _log.info("resuming %s at step %d/%d", workdir, int(state.step), total)
    notes = [*recipe.notes, *data.describe()]
    for note in notes:
        _log.info("%s", note)
    return _Prepared(recipe, data, optimizers, evaluator, checkpoints, state, notes)


def _due(step: int, every: int, *, last: bool = False) -> bool:
    """Whether something is due that happens every `every` steps (0: never) and at the `last` step of a stage."""
    return every > 0 and (last or step % every == 0)


def _write_metadata(workdir: Path, notes: Iterable[str]) -> None:
    import sirr_jax

    lines = [f"sirr_jax {sirr_jax.__version__}, jax {jax.__version__}", *notes]
    lines.append(f"{parallel.device_count()} x {jax.devices()[0].device_kind}")
    (workdir / "metadata.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _begin(begin: Callable[[Start], Start] | None, state: TrainState, index: int) -> TrainState:
    """Applies the beginning of a stage to one replica and replicates the result."""
    state = parallel.to_host(state)
    if begin is not None:
        with parallel.on_host():
            start = begin(Start(state.params, state.ema, state.collections))
        state = state.replace(params=start.params, ema=start.ema, collections=start.collections)
    return parallel.replicate(state.replace(stage=np.int32(index)))


def _check_finite(state: TrainState, workdir: Path) -> None:
    bad = int(parallel.first_replica(state.bad_step))
    if bad >= 0:
        raise FloatingPointError(
            f"the loss or its gradient was not finite at step {bad}; {workdir} keeps the checkpoints before it. "
            "Go on from there with a lower config.optimizer.learning_rate, a lower config.optimizer.clip (unless it is "
            "0: no clipping) or config.compute_dtype=float32"
        )
