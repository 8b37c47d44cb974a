"""What the person at the terminal sees."""

from __future__ import annotations

import logging
import sys
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

_log = logging.getLogger(__name__)


class ProgressBar:
    """A bar with stage, step, loss, images/s and remaining time; plain log lines where there is no terminal."""

    def __init__(self, total: int, done: int = 0) -> None:
        """Start at `done` of `total` steps."""
        self._live = sys.stderr.isatty()
        self._total = total
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("[bold]{task.fields[stage]}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("loss {task.fields[loss]}"),
            TextColumn("{task.fields[rate]} images/s"),
            TimeElapsedColumn(),
            TextColumn("ETA"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            disable=not self._live,
        )
        self._task = self._progress.add_task("", total=total, completed=done, stage="starting", loss="-", rate="-")

    def stage(self, name: str) -> None:
        """Say which stage runs."""
        self._progress.update(self._task, stage=name)

    def report(self, step: int, stage: str, loss: float, rate: float, seconds_left: float) -> None:
        """Show the state after `step` steps; `rate` in images per second."""
        self._progress.update(self._task, completed=step, stage=stage, loss=f"{loss:.4f}", rate=f"{rate:.1f}")
        if not self._live:
            _log.info(
                "%s step %d/%d  loss %.4f  %.1f images/s  ETA %d:%02d",
                stage, step, self._total, loss, rate, *divmod(int(seconds_left), 60),
            )  # fmt: skip

    def __enter__(self) -> ProgressBar:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()
