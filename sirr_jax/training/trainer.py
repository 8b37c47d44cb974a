"""The training loop: one for every recipe."""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from sirr_jax.data.from_config import samples_per_batch, skipped_positions, training_streams
from sirr_jax.data.loaders.build import build_loader, check_loader
from sirr_jax.data.samples.photo import Stream
from sirr_jax.errors import UserError
from sirr_jax.recipes import Recipe, get_recipe
from sirr_jax.recipes.base import Start
from sirr_jax.training import parallel
from sirr_jax.training.checkpoints import Checkpoints
from sirr_jax.training.config_checks import check_training
from sirr_jax.training.device_batches import to_devices
from sirr_jax.training.dispatch_limit import DispatchLimiter
from sirr_jax.training.evaluator import Evaluator
from sirr_jax.training.metric_logger import MetricLogger
from sirr_jax.training.metric_writers import Writer
from sirr_jax.training.optimizers import make_optimizer
from sirr_jax.training.preemption import stop_requests
from sirr_jax.training.progress import ProgressBar
from sirr_jax.training.state import TrainState, create_state, evaluation_params, learning_networks
from sirr_jax.training.train_step import Settings, build_step, scan_steps
from sirr_jax.weights.model_file import Model, save_model

_log = logging.getLogger(__name__)


def train(config: ConfigDict, workdir: str | Path) -> Path:
    """Run, or continue, the training that a config describes.

    Writes to `workdir`: `config.json`, `metadata.txt`, `checkpoints/`, `scalars.jsonl`, `panels/`, `tensorboard/` and,
    at the end, `models/*.safetensors` and `scores.json`. On SIGTERM or Ctrl-C it saves after the step in flight,
    writes the models as far as they have come, and returns; running it again continues where it stopped. A run that
    has checkpoints goes on with the same config alone, but for how often it tells and saves, its learning rates,
    clipping and precision; what of these three has changed, and when, is in `changes.txt`.

    Args:
        config: as a file in `configs/` makes it.
        workdir: the run's folder; created if missing.

    Returns:
        `workdir`.

    Raises:
        UserError: if the config, the data or the folder cannot be used.
        FloatingPointError: if a loss is not finite; it names the step. Nothing is saved after that step.
    """
    workdir = Path(workdir)
    _make_folder(workdir)

    # --- recipe, state --------------------------------------------------------------------------------------------
    recipe = get_recipe(config.recipe)(config)
    check_training(config, recipe.stages)
    check_loader(config.data.loader)
    total, at_once = sum(stage.steps for stage in recipe.stages), config.scan_steps
    unit = parallel.device_count() * config.grad_accum_steps
    counts = [samples_per_batch(stage.mix, config.batch_size, unit) for stage in recipe.stages]
    skipped = skipped_positions([stage.steps for stage in recipe.stages], counts)
    streams = training_streams(config.data, {kind for count in counts for kind in count})
    optimizers = {
        name: make_optimizer(config.optimizer, name, updates) for name, updates in learning_networks(recipe).items()
    }
    checkpoints = Checkpoints(workdir, config.to_dict(), keep=config.max_to_keep)
    state = create_state(recipe, optimizers, jax.random.key(config.seed))
    restored = checkpoints.restore(state)
    if restored is not None:
        state = restored
        _log.info("continuing %s at step %d of %d", workdir, int(state.step), total)
    state = parallel.replicate(state)

    # --- what the run tells ---------------------------------------------------------------------------------------
    notes = [*recipe.notes, *_mixture_notes(recipe, counts, config.batch_size)]
    for note in notes:
        _log.info("%s", note)
    primary = jax.process_index() == 0
    evaluator = Evaluator(recipe, config) if primary and (config.eval_every or config.log_images_every) else None
    step = int(state.step)
    checkpoints.record_config(step, total=total)  # now that nothing else can be refused
    if primary:
        _write_metadata(workdir, notes)
    settings = Settings(config.seed, config.grad_accum_steps, config.ema_decay)

    # --- stages ---------------------------------------------------------------------------------------------------
    with (
        contextlib.closing(Writer(workdir)) if primary else contextlib.nullcontext() as writer,
        stop_requests(config.log_every) as stop_requested,
        ProgressBar(total, step) as bar,
        contextlib.closing(checkpoints),
    ):
        last, limiter = 0, DispatchLimiter()
        for index, stage in enumerate(recipe.stages):
            first, last = last, last + stage.steps
            if step >= last:
                continue
            bar.stage(stage.name)
            if int(parallel.first_replica(state).stage) < index:
                state = _begin(stage.begin, state, index)
            one_step = build_step(recipe, index, first, optimizers, settings)
            call = parallel.parallelize(scan_steps(one_step, at_once))
            metric_logger = MetricLogger(writer, bar, stage.name, step, total, config.batch_size)
            with _batches(streams, counts[index], skipped[index], config, step) as batches:
                for step, raw in zip(range(step + at_once, last + 1, at_once), batches, strict=False):  # noqa: B020
                    state, scalars = call(state, raw)
                    metric_logger.append(scalars)
                    limiter.track(scalars)
                    stopping = stop_requested(step)
                    ending = step == last or stopping
                    if ending or _due(step, config.log_every):
                        _check_finite(state, workdir)
                        metric_logger.flush(step)
                    if evaluator and _due(step, config.eval_every, last=step == last):
                        evaluator.evaluate(step, state, writer)
                    if evaluator and _due(step, config.log_images_every, last=step == last):
                        evaluator.panel(step, state, writer)
                    if ending or _due(step, config.checkpoint_every):
                        _check_finite(state, workdir)
                        checkpoints.save(step, parallel.to_host(state))
                    if stopping and step < total:
                        if primary:
                            _export(recipe, state, workdir, notes)
                        words = "stopped at step %d of %d, its models written; run the same command to go on"
                        _log.warning(words, step, total)
                        return workdir

    # --- results --------------------------------------------------------------------------------------------------
    if primary:
        _export(recipe, state, workdir, notes)
    if evaluator and config.eval_every:
        text = json.dumps(evaluator.scores(step, state), indent=2) + "\n"
        (workdir / "scores.json").write_text(text, encoding="utf-8")
    return workdir


def _make_folder(workdir: Path) -> None:
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        probe = workdir / f".writable-{jax.process_index()}"  # the processes of a run share the folder
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UserError(f"cannot write to workdir {workdir} ({error.strerror}); choose another --workdir") from error


def _due(step: int, every: int, *, last: bool = False) -> bool:
    """Whether something that happens every so many steps, and at a stage's `last` one, happens now; 0 means never."""
    return every > 0 and (last or step % every == 0)


def _mixture_notes(recipe: Recipe, counts: list[dict[str, int]], batch_size: int) -> Iterator[str]:
    for stage, count in zip(recipe.stages, counts, strict=True):
        shares = ", ".join(f"{n}/{batch_size} {kind} (asked {stage.mix[kind]:.0%})" for kind, n in count.items())
        yield f"stage {stage.name}: {stage.steps} steps; {shares}"


def _write_metadata(workdir: Path, notes: list[str]) -> None:
    import sirr_jax

    lines = [f"sirr_jax {sirr_jax.__version__}, jax {jax.__version__}", *notes]
    lines.append(f"{parallel.device_count()} x {jax.devices()[0].device_kind}")
    (workdir / "metadata.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _begin(begin: Callable[[Start], Start] | None, state: TrainState, index: int) -> TrainState:
    """Apply a stage's beginning to one replica and replicate the result afresh."""
    state = parallel.to_host(state)
    if begin is not None:
        with parallel.on_host():
            start = begin(Start(state.params, state.ema, state.collections))
        state = state.replace(params=start.params, ema=start.ema, collections=start.collections)
    return parallel.replicate(state.replace(stage=np.int32(index)))


@contextlib.contextmanager
def _batches(
    streams: Mapping[str, Stream], counts: dict[str, int], skipped: dict[str, int], config: ConfigDict, step: int
) -> Iterator[Iterator[Any]]:
    pipeline = build_loader(
        {kind: streams[kind] for kind in counts},
        counts,
        loader=config.data.loader,
        seed=config.seed,
        start_step=step,
        skipped=skipped,
        process_index=jax.process_index(),
        process_count=jax.process_count(),
    )
    with contextlib.closing(pipeline):
        yield to_devices(pipeline, config.scan_steps)


def _check_finite(state: TrainState, workdir: Path) -> None:
    bad = int(parallel.first_replica(state.bad_step))
    if bad >= 0:
        raise FloatingPointError(
            f"the loss or its gradient was not finite at step {bad}; {workdir} keeps the checkpoints before it. "
            "Go on from there with a lower config.optimizer.learning_rate, a lower config.optimizer.clip (unless it is "
            "0: no clipping) or config.compute_dtype=float32"
        )


def _export(recipe: Recipe, state: TrainState, workdir: Path, notes: list[str]) -> None:
    state = parallel.to_host(state)
    for stem, networks in recipe.exports(evaluation_params(state), state.collections).items():
        description = f"trained with sirr_jax; {notes[0]}"
        model = Model(recipe.name, networks, license="the user's", description=description)
        save_model(workdir / "models" / f"{stem}.safetensors", model, overwrite=True)
