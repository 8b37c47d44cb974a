"""Training metrics, fetched from the devices only when they are logged."""

from __future__ import annotations

import time

import jax
import numpy as np

from sirr_jax.training.metric_writers import Writer
from sirr_jax.training.progress import ProgressBar


class MetricLogger:
    """Collects device scalars without waiting for them and averages them when they are logged."""

    def __init__(
        self, writer: Writer | None, bar: ProgressBar, stage: str, step: int, total: int, batch_size: int
    ) -> None:
        """Starts at `step`.

        Args:
            writer: writer of the scalars; None to write none.
            bar: progress bar.
            stage: name of the stage.
            step: number of finished steps.
            total: number of steps of the run.
            batch_size: samples per step.
        """
        self._writer, self._bar, self._stage = writer, bar, stage
        self._step, self._total, self._batch_size = step, total, batch_size
        self._pending: list[dict[str, jax.Array]] = []
        self._since: float | None = None

    def append(self, scalars: dict[str, jax.Array]) -> None:
        """Appends the scalars of a call without waiting for them.

        Args:
            scalars: name -> device scalar.
        """
        self._pending.append(scalars)

    def flush(self, step: int) -> None:
        """Averages the pending scalars, displays and writes them.

        Args:
            step: number of finished steps.
        """
        fetched = jax.device_get(self._pending)
        now = time.perf_counter()
        means = {name: float(np.mean([s[name] for s in fetched])) for name in sorted(fetched[0])}
        # The first window of a stage includes compilation, so its rate is not reported.
        rate = (step - self._step) * self._batch_size / (now - self._since) if self._since else None
        self._since, self._step, self._pending = now, step, []
        left = (self._total - step) * self._batch_size / rate if rate else None
        losses = [value for name, value in means.items() if name.endswith("/loss")]
        self._bar.report(step, self._stage, losses[-1] if losses else None, rate, left)
        if self._writer:
            self._writer.scalars(step, means | ({"images_per_second": rate} if rate else {}))
