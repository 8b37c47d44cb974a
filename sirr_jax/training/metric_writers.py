"""Writers of metrics and validation panels: JSON lines, TensorBoard, PNG files."""

from __future__ import annotations

import importlib.util
import json
import logging
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from sirr_jax.json_text import to_json

_log = logging.getLogger(__name__)


class Writer:
    """Writes scalars to `scalars.jsonl` and panels to `panels/`; also to TensorBoard if tensorboardX is installed."""

    def __init__(self, workdir: Path, step: int = 0) -> None:
        """Opens the files in `workdir` and appends to existing ones, less what was written after `step`.

        A run that was killed goes on from its last checkpoint and writes the later steps again.

        Args:
            workdir: folder of the run.
            step: number of finished steps from which the run goes on.
        """
        self._panels = workdir / "panels"
        lines = workdir / "scalars.jsonl"
        if lines.exists():
            _truncate(lines, step)
        self._lines = lines.open("a", encoding="utf-8")
        self._board = None
        if importlib.util.find_spec("tensorboardX"):
            from tensorboardX import SummaryWriter

            folder = workdir / "tensorboard"
            purged = step + 1 if folder.exists() else None  # TensorBoard hides what earlier files have from there on
            self._board = SummaryWriter(str(folder), purge_step=purged)
        else:
            _log.info("tensorboardX is not installed: scalars are written to scalars.jsonl only")

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Writes one line `{"step": ..., "time": ..., name: value, ...}`; a value that is not finite is `null`.

        Args:
            step: number of finished steps.
            values: name -> value.
        """
        line = {"step": step, "time": round(time.time(), 3)} | {name: float(v) for name, v in values.items()}
        self._lines.write(to_json(line) + "\n")
        self._lines.flush()
        if self._board:
            for name, value in values.items():
                self._board.add_scalar(name, float(value), step)

    def panel(self, step: int, name: str, image: np.ndarray) -> Path:
        """Writes `panels/<name>-<step>.png`.

        Args:
            step: number of finished steps.
            name: name of the panel.
            image: uint8 [H, W, 3].

        Returns:
            Path of the file.
        """
        self._panels.mkdir(exist_ok=True)
        path = self._panels / f"{name}-{step:07d}.png"
        Image.fromarray(image).save(path)
        if self._board:
            self._board.add_image(name, image, step, dataformats="HWC")
        return path

    def close(self) -> None:
        """Flushes and closes the files."""
        self._lines.close()
        if self._board:
            self._board.close()


def _truncate(path: Path, step: int) -> None:
    """Removes lines of later steps, and lines that a killed process left half-written."""
    lines = path.read_bytes().splitlines(keepends=True)
    kept = [line for line in lines if line.endswith(b"\n") and _step_of(line) <= step]
    if len(kept) == len(lines):
        return
    partial = path.with_suffix(".jsonl.partial")  # a kill here loses nothing; the run holds the lock of its folder
    partial.write_bytes(b"".join(kept))
    partial.replace(path)
    _log.warning(
        "%s: removed %d lines that are damaged or later than step %d, where the run goes on",
        path, len(lines) - len(kept), step,
    )  # fmt: skip


def _step_of(line: bytes) -> float:
    try:
        return int(json.loads(line)["step"])
    except (ValueError, TypeError, KeyError):
        return float("inf")
