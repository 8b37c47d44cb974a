"""The host side of a training run: one object from the files on disk to the batches of each stage.

The way of a sample: `data/sources` reads files by index, `data/samples` makes the sample at a position, `data/loaders`
stacks samples into batches, and this module decides how many samples of which kind each stage takes.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from typing import Protocol

from ml_collections import ConfigDict

from sirr_jax.data.from_config import training_streams
from sirr_jax.data.loaders.build import BatchLoader, LoaderName, build_loader, check_loader
from sirr_jax.data.samples.base import Stream
from sirr_jax.errors import UserError

_log = logging.getLogger(__name__)


class TrainingStage(Protocol):
    """The part of a recipe's stage that concerns the data."""

    @property
    def name(self) -> str:
        """Name of the stage."""
        ...

    @property
    def steps(self) -> int:
        """Number of training steps."""
        ...

    @property
    def mix(self) -> Mapping[str, float]:
        """Fraction of each kind of sample in a batch; sums to 1."""
        ...


class TrainingData:
    """The training data of all stages of a run. A batch depends on the seed, the files and the step alone.

    Attributes:
        counts: for each stage, kind of sample -> samples per step, over all devices.
    """

    def __init__(
        self,
        streams: Mapping[str, Stream],
        stages: Sequence[TrainingStage],
        *,
        batch_size: int,
        unit: int,
        loader: LoaderName,
        seed: int,
        process_index: int = 0,
        process_count: int = 1,
    ) -> None:
        """Divides the batches among the kinds of samples; see `from_config`.

        Args:
            streams: kind -> stream of samples.
            stages: stages of the recipe.
            batch_size: samples per step, over all devices.
            unit: number of devices times micro-batches.
            loader: "tf", "threads" or "device".
            seed: base random seed.
            process_index: index of this process.
            process_count: number of processes.

        Raises:
            UserError: The batch cannot be divided.
        """
        self._streams, self._stages, self._batch_size = streams, tuple(stages), batch_size
        self._loader, self._seed = loader, seed
        self._process_index, self._process_count = process_index, process_count
        self.counts = [samples_per_batch(stage.mix, batch_size, unit) for stage in stages]
        for kind in streams:
            _warn_of_few(kind, streams[kind], max(count.get(kind, 0) for count in self.counts))
        self._skipped = skipped_positions([stage.steps for stage in stages], self.counts)

    @classmethod
    def from_config(
        cls,
        config: ConfigDict,
        stages: Sequence[TrainingStage],
        device_count: int,
        *,
        process_index: int = 0,
        process_count: int = 1,
    ) -> TrainingData:
        """Opens the data that a config describes, as far as any stage needs them.

        Args:
            config: whole config of a run.
            stages: stages of its recipe.
            device_count: number of devices of all processes.
            process_index: index of this process.
            process_count: number of processes.

        Raises:
            UserError: A folder is missing or does not hold what is expected, or the batch cannot be divided.
        """
        check_loader(config.data.loader)
        unit = device_count * config.grad_accum_steps
        # Before any file is opened: this takes no time and fails often.
        kinds = {kind for stage in stages for kind in samples_per_batch(stage.mix, config.batch_size, unit)}
        return cls(
            training_streams(config.data, kinds),
            stages,
            batch_size=config.batch_size,
            unit=unit,
            loader=config.data.loader,
            seed=config.seed,
            process_index=process_index,
            process_count=process_count,
        )

    def batches(self, stage: int, start_step: int) -> BatchLoader:
        """Starts the loader of a stage.

        Args:
            stage: index of the stage.
            start_step: step of the first batch, counted over all stages.

        Returns:
            An endless iterator of raw batches; close it, or use it as a context manager.

        Raises:
            UserError: The data cannot be read by the chosen loader.
        """
        counts = self.counts[stage]
        return build_loader(
            {kind: self._streams[kind] for kind in counts},
            counts,
            loader=self._loader,
            seed=self._seed,
            start_step=start_step,
            skipped=self._skipped[stage],
            process_index=self._process_index,
            process_count=self._process_count,
        )

    def describe(self) -> tuple[str, ...]:
        """Returns one line for each stage: its steps and the composition of its batches."""
        return tuple(
            f"stage {stage.name}: {stage.steps} steps; "
            + ", ".join(f"{n}/{self._batch_size} {kind} (asked {stage.mix[kind]:.0%})" for kind, n in count.items())
            for stage, count in zip(self._stages, self.counts, strict=True)
        )


def _warn_of_few(kind: str, stream: Stream, samples: int) -> None:
    photos = getattr(stream, "photos", ())
    if 0 < len(photos) < samples:
        _log.warning(
            "%d photographs for %d samples of kind %s a step: each occurs several times in a step, in other crops",
            len(photos), samples, kind,
        )  # fmt: skip


def samples_per_batch(mix: Mapping[str, float], batch_size: int, unit: int) -> dict[str, int]:
    """Divides a batch among kinds of samples, each a multiple of `unit`, as near to the fractions as that allows.

    Args:
        mix: kind -> fraction, summing to 1.
        batch_size: samples per step, over all devices.
        unit: number of devices times micro-batches.

    Returns:
        Kind -> samples per step.

    Raises:
        UserError: The batch is not a multiple of `unit`, or too small for every kind to occur, or the fractions do not
            sum to 1.
    """
    if min(mix.values()) < 0 or not math.isclose(sum(mix.values()), 1.0, abs_tol=1e-6):
        raise UserError(f"the fractions of a batch are {dict(mix)}; expected numbers of at least 0 that sum to 1")
    if batch_size < 1 or batch_size % unit:
        raise UserError(
            f"config.batch_size={batch_size} cannot be divided among devices x config.grad_accum_steps = {unit}; "
            f"choose a multiple of {unit}"
        )
    units = batch_size // unit
    kinds = [kind for kind, fraction in mix.items() if fraction > 0]
    if units < len(kinds):
        raise UserError(
            f"config.batch_size={batch_size} leaves no sample for one of {', '.join(kinds)} (devices x "
            f"config.grad_accum_steps = {unit}); choose at least {unit * len(kinds)}"
        )
    wanted = {kind: mix[kind] * units for kind in kinds}
    counts = {kind: max(int(wanted[kind]), 1) for kind in kinds}
    while sum(counts.values()) < units:
        counts[max(kinds, key=lambda kind: wanted[kind] - counts[kind])] += 1
    while sum(counts.values()) > units:
        spare = [kind for kind in kinds if counts[kind] > 1]
        counts[min(spare, key=lambda kind: wanted[kind] - counts[kind])] -= 1
    return {kind: count * unit for kind, count in counts.items()}


def skipped_positions(steps: Sequence[int], counts: Sequence[Mapping[str, int]]) -> list[dict[str, int]]:
    """Finds the positions that each stage leaves out, so that it repeats no sample of an earlier stage.

    A position is the step times the samples per step: a stage that takes fewer samples than an earlier one would
    return to positions that have been used.

    Args:
        steps: number of steps of each stage.
        counts: kind -> samples per step, of each stage.

    Returns:
        Kind -> positions to leave out, for each stage; see `build_loader`.
    """
    skipped_of_stages, reached, first = [], dict[str, int](), 0
    for number, count in zip(steps, counts, strict=True):
        skipped = {kind: max(reached.get(kind, 0) - first * samples, 0) for kind, samples in count.items()}
        first += number
        reached |= {kind: skipped[kind] + first * samples for kind, samples in count.items()}
        skipped_of_stages.append(skipped)
    return skipped_of_stages
