"""The training loop: one for every recipe."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from absl import logging
from ml_collections import ConfigDict

from sirr_jax.data.feed import samples_per_batch, training_streams, validation_streams
from sirr_jax.data.pipeline import build_pipeline
from sirr_jax.data.streams import Stream
from sirr_jax.errors import UserError
from sirr_jax.metrics import score
from sirr_jax.recipes import Recipe, get_recipe
from sirr_jax.recipes.contract import Start
from sirr_jax.training import parallel
from sirr_jax.training.checkpoints import Checkpoints
from sirr_jax.training.engine import Settings, build_step
from sirr_jax.training.optimisers import make_optimiser
from sirr_jax.training.progress import ProgressBar
from sirr_jax.training.state import TrainState, create_state, evaluation_params, learning_networks
from sirr_jax.training.writers import Writer, contact_sheet
from sirr_jax.weights.model_file import save_model

_VALIDATION_SEED = 1_000_003  # apart from every training seed in use


def train(config: ConfigDict, workdir: str | Path) -> Path:
    """Run, or continue, the training that a config describes.

    Writes to `workdir`: `config.json`, `metadata.json`, `checkpoints/`, `scalars.jsonl`, `panels/`, `tensorboard/`
    and, at the end, `models/*.safetensors`. On SIGTERM or Ctrl-C it saves after the step in flight and returns;
    running it again continues, with the same result as if it had never stopped.

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
    total = sum(stage.steps for stage in recipe.stages)
    if total < 1:
        raise UserError("the config asks for 0 training steps; set config.teacher.steps or config.student.steps")
    unit = parallel.device_count() * config.accumulate
    counts = [samples_per_batch(stage.mix, config.batch_size, unit) for stage in recipe.stages]
    streams = training_streams(config.data, {kind for count in counts for kind in count})
    optimisers = {
        name: make_optimiser(config.optimiser, updates) for name, updates in learning_networks(recipe).items()
    }
    checkpoints = Checkpoints(workdir, config.to_dict(), keep=config.keep)
    state = create_state(recipe, optimisers, jax.random.key(config.seed))
    restored = checkpoints.restore(state)
    if restored is not None:
        state = restored
        logging.info("continuing %s at step %d of %d", workdir, int(state.step), total)
    state = parallel.replicate(state)

    # --- what the run tells ---------------------------------------------------------------------------------------
    writer = Writer(workdir) if jax.process_index() == 0 else None
    notes = [*recipe.notes, *_mixture_notes(recipe, counts, config.batch_size)]
    for note in notes:
        logging.info("%s", note)
    if writer:
        _write_metadata(workdir, notes)
    judge = _Judge(recipe, config) if writer and config.evaluate_every else None
    settings = Settings(config.seed, config.accumulate, config.ema_decay)

    # --- stages ---------------------------------------------------------------------------------------------------
    step = int(state.step)
    with _stop_requests(config.log_every) as stop_requested, ProgressBar(total, step) as bar, contextlib.closing(checkpoints):
        first = 0
        for index, stage in enumerate(recipe.stages):
            last = first + stage.steps
            if step < last:
                bar.stage(stage.name)
                if int(parallel.first_replica(state).stage) < index:
                    state = _begin(stage.begin, state, index)
                one_step = parallel.parallelise(build_step(recipe, index, first, optimisers, settings))
                reporter = _Reporter(writer, bar, stage.name, step, total, config.batch_size)
                with _batches(streams, counts[index], config, step) as batches:
                    for raw in batches:
                        state, scalars = one_step(state, parallel.shard_batch(raw))
                        step += 1
                        reporter.keep(scalars)
                        stopping = stop_requested(step)
                        if step % config.log_every == 0 or step == last or stopping:
                            _check_finite(state, workdir)
                            reporter.report(step)
                        if judge and (step % config.evaluate_every == 0 or step == last):
                            judge.evaluate(step, state, writer)
                        if judge and (step % config.panels_every == 0 or step == last):
                            judge.panel(step, state, writer)
                        if step % config.checkpoint_every == 0 or step == last or stopping:
                            _check_finite(state, workdir)
                            checkpoints.save(step, parallel.to_host(state))
                        if stopping and step < total:
                            logging.warning("stopped at step %d of %d; run the same command to go on", step, total)
                            return workdir
                        if step == last:
                            break
            first = last

    # --- results --------------------------------------------------------------------------------------------------
    if writer:
        _export(recipe, state, workdir, notes)
        writer.close()
    return workdir


def _make_folder(workdir: Path) -> None:
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        (workdir / ".writable").touch()
        (workdir / ".writable").unlink()
    except OSError as error:
        raise UserError(f"cannot write to workdir {workdir} ({error.strerror}); choose another --workdir") from error


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
        start = begin(Start(state.params, state.ema, state.collections))
        state = state.replace(params=start.params, ema=start.ema, collections=start.collections)
    return parallel.replicate(state.replace(stage=np.int32(index)))


@contextlib.contextmanager
def _batches(
    streams: Mapping[str, Stream], counts: dict[str, int], config: ConfigDict, step: int
) -> Iterator[Iterator[Any]]:
    pipeline = build_pipeline(
        {kind: streams[kind] for kind in counts},
        counts,
        kind=config.data.pipeline,
        seed=config.seed,
        start_step=step,
        process_index=jax.process_index(),
        process_count=jax.process_count(),
    )
    with contextlib.closing(pipeline):
        yield iter(pipeline)


def _check_finite(state: TrainState, workdir: Path) -> None:
    bad = int(parallel.first_replica(state.bad_step))
    if bad >= 0:
        raise FloatingPointError(
            f"the loss or its gradient was not finite at step {bad}; {workdir} keeps the checkpoints before it. "
            "Lower config.optimiser.learning_rate or config.optimiser.clip, or train in float32"
        )


class _Reporter:
    """Collects device scalars without waiting for them and averages them when it is time to log."""

    def __init__(
        self, writer: Writer | None, bar: ProgressBar, stage: str, step: int, total: int, batch_size: int
    ) -> None:
        self._writer, self._bar, self._stage = writer, bar, stage
        self._step, self._total, self._batch_size = step, total, batch_size
        self._kept: list[dict[str, jax.Array]] = []
        self._since: float | None = None

    def keep(self, scalars: dict[str, jax.Array]) -> None:
        self._kept.append(scalars)

    def report(self, step: int) -> None:
        fetched = jax.device_get(self._kept)
        now = time.perf_counter()
        means = {name: float(np.mean([s[name] for s in fetched])) for name in sorted(fetched[0])}
        # The first window of a stage holds its compilation.
        rate = (step - self._step) * self._batch_size / (now - self._since) if self._since else 0.0
        self._since, self._step, self._kept = now, step, []
        left = (self._total - step) * self._batch_size / rate if rate else 0.0
        losses = [value for name, value in means.items() if name.endswith("/loss")]
        self._bar.report(step, self._stage, losses[-1] if losses else 0.0, rate, left)
        if self._writer:
            self._writer.scalars(step, means | ({"images_per_second": rate} if rate else {}))


class _Judge:
    """Scores and draws the recipe's estimates on a fixed set of held-out samples."""

    def __init__(self, recipe: Recipe, config: ConfigDict) -> None:
        streams = validation_streams(config.data)
        with build_pipeline(
            streams, {"layers": config.validation_samples}, kind="memory", seed=_VALIDATION_SEED, start_step=0
        ) as pipeline:
            raw = next(pipeline)
        self._batch = jax.jit(recipe.prepare)(raw, jax.random.key(_VALIDATION_SEED))
        self._compare = jax.jit(recipe.compare)
        self._images: tuple[int, dict[str, np.ndarray]] = (-1, {})

    def _estimates(self, step: int, state: TrainState) -> dict[str, np.ndarray]:
        if self._images[0] != step:
            params = evaluation_params(parallel.first_replica(state))
            self._images = (step, jax.device_get(self._compare(params, self._batch)))
        return self._images[1]

    def scores(self, step: int, state: TrainState) -> dict[str, dict[str, float]]:
        """Name of the estimate -> mean PSNR, SSIM, LMSE, NCC over the samples (protocol `sirr`)."""
        images = self._estimates(step, state)
        return {
            name: {metric: float(np.mean(v)) for metric, v in score(estimate, images["truth"]).items()}
            for name, estimate in images.items()
            if name != "truth"
        }

    def evaluate(self, step: int, state: TrainState, writer: Writer) -> None:
        scores = self.scores(step, state)
        writer.scalars(
            step, {f"validation/{metric}/{name}": v for name, s in scores.items() for metric, v in s.items()}
        )

    def panel(self, step: int, state: TrainState, writer: Writer) -> None:
        writer.panel(step, "validation", contact_sheet(self._estimates(step, state)))


@contextlib.contextmanager
def _stop_requests(every: int) -> Iterator[Callable[[int], bool]]:
    """Turn SIGTERM and SIGINT into a question that the loop asks between steps; a second one kills as usual.

    With several processes all of them must stop at the same step, so they ask together, at every log step.
    """
    asked = False
    before = {}

    def note(number: int, frame: Any) -> None:  # noqa: ARG001
        nonlocal asked
        asked = True
        signal.signal(number, before[number])

    try:
        for number in (signal.SIGTERM, signal.SIGINT):
            before[number] = signal.signal(number, note)
    except ValueError:  # not the main thread: the host program decides about signals
        before = {}

    def requested(step: int) -> bool:
        if jax.process_count() == 1:
            return asked
        if step % every:
            return False
        from jax.experimental import multihost_utils

        return bool(multihost_utils.process_allgather(jnp.array(asked)).any())

    try:
        yield requested
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _export(recipe: Recipe, state: TrainState, workdir: Path, notes: list[str]) -> None:
    params = evaluation_params(parallel.to_host(state))
    for stem, (network, hyper, tree) in recipe.exports(params).items():
        save_model(
            workdir / "models" / f"{stem}.safetensors",
            tree,
            recipe=recipe.name,
            network=network,
            hyper=hyper,
            licence="the user's",
            origin=f"trained with sirr_jax; {notes[0]}",
            overwrite=True,
        )
