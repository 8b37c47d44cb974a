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

_log = logging.getLogger(__name__)


class Writer:
    """Writes scalars to `scalars.jsonl` and panels to `panels/`; also to TensorBoard if tensorboardX is installed."""

    def __init__(self, workdir: Path) -> None:
        """Opens the files in `workdir` and appends to existing ones."""
        self._panels = workdir / "panels"
        self._lines = (workdir / "scalars.jsonl").open("a", encoding="utf-8")
        self._board = None
        if importlib.util.find_spec("tensorboardX"):
            from tensorboardX import SummaryWriter

            self._board = SummaryWriter(str(workdir / "tensorboard"))
        else:
            _log.info("tensorboardX is not installed: scalars are written to scalars.jsonl only")

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Writes one line `{"step": ..., "time": ..., name: value, ...}`.

        Args:
            step: number of finished steps.
            values: name -> value.
        """
        line = {"step": step, "time": round(time.time(), 3)} | {name: float(v) for name, v in values.items()}
        self._lines.write(json.dumps(line) + "\n")
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
