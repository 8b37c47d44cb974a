"""Progress bar of a run."""

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
    """A bar with stage, step, loss, images/s and remaining time; log lines if stderr is not a terminal."""

    def __init__(self, total: int, done: int = 0) -> None:
        """Starts the bar.

        Args:
            total: number of steps of the run.
            done: number of finished steps.
        """
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
        """Displays the name of the current stage.

        Args:
            name: name of the stage.
        """
        self._progress.update(self._task, stage=name)

    def report(self, step: int, stage: str, loss: float | None, rate: float | None, seconds_left: float | None) -> None:
        """Displays the progress.

        Args:
            step: number of finished steps.
            stage: name of the stage.
            loss: loss; None if unknown.
            rate: images per second; None if unknown.
            seconds_left: remaining time in seconds; None if unknown.
        """
        loss_text = "-" if loss is None else f"{loss:.4f}"
        rate_text = "-" if rate is None else f"{rate:.1f}"
        self._progress.update(self._task, completed=step, stage=stage, loss=loss_text, rate=rate_text)
        if not self._live:
            left = "-" if seconds_left is None else "{}:{:02}".format(*divmod(int(seconds_left), 60))
            values = (stage, step, self._total, loss_text, rate_text, left)
            _log.info("%s step %d/%d  loss %s  %s images/s  ETA %s", *values)

    def __enter__(self) -> ProgressBar:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()
