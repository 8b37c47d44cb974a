"""Where a run's numbers and pictures go: JSON lines, TensorBoard, PNG files."""

from __future__ import annotations

import importlib.util
import json
import logging
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

_log = logging.getLogger(__name__)


class Writer:
    """Appends scalars to `scalars.jsonl` and panels to `panels/`; TensorBoard too where tensorboardX is installed."""

    def __init__(self, workdir: Path) -> None:
        """Open the files in `workdir`; numbers of an earlier part of the run are kept."""
        self._panels = workdir / "panels"
        self._lines = (workdir / "scalars.jsonl").open("a", encoding="utf-8")
        self._board = None
        if importlib.util.find_spec("tensorboardX"):
            from tensorboardX import SummaryWriter

            self._board = SummaryWriter(str(workdir / "tensorboard"))
        else:
            _log.info("tensorboardX is not installed: scalars go to scalars.jsonl alone")

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Write one line `{"step": ..., "time": ..., name: value, ...}`."""
        line = {"step": step, "time": round(time.time(), 3)} | {name: float(v) for name, v in values.items()}
        self._lines.write(json.dumps(line) + "\n")
        self._lines.flush()
        if self._board:
            for name, value in values.items():
                self._board.add_scalar(name, float(value), step)

    def panel(self, step: int, name: str, image: np.ndarray) -> Path:
        """Write `panels/<name>-<step>.png`; `image` is uint8 [H, W, 3]."""
        self._panels.mkdir(exist_ok=True)
        path = self._panels / f"{name}-{step:07d}.png"
        Image.fromarray(image).save(path)
        if self._board:
            self._board.add_image(name, image, step, dataformats="HWC")
        return path

    def close(self) -> None:
        """Flush and close."""
        self._lines.close()
        if self._board:
            self._board.close()
