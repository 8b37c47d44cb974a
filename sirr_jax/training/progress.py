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

    def report(self, step: int, stage: str, loss: float | None, rate: float | None, seconds_left: float | None) -> None:
        """Show the state after `step` steps; `rate` in images per second; None where there is nothing to say."""
        shown = {"loss": "-" if loss is None else f"{loss:.4f}", "rate": "-" if rate is None else f"{rate:.1f}"}
        self._progress.update(self._task, completed=step, stage=stage, **shown)
        if not self._live:
            left = "-" if seconds_left is None else "{}:{:02}".format(*divmod(int(seconds_left), 60))
            words = (stage, step, self._total, shown["loss"], shown["rate"], left)
            _log.info("%s step %d/%d  loss %s  %s images/s  ETA %s", *words)

    def __enter__(self) -> ProgressBar:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()
