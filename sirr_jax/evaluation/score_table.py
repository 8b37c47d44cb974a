"""The scores of each image as a CSV file, to which an interrupted evaluation goes on adding."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path
from typing import NamedTuple

from sirr_jax.errors import UserError
from sirr_jax.temporary_paths import new_file

METRICS = ("psnr", "ssim", "ncc", "lmse", "ms_ssim")
_HEADER = ("set", "image", "model", "model_sha256", "protocol", "height", "width", *METRICS)


class Key(NamedTuple):
    """What a row of scores belongs to."""

    set: str
    image: str
    model: str
    sha256: str
    protocol: str


class Row(NamedTuple):
    """Scores of one image.

    Attributes:
        key: set, image, model and protocol of the scores.
        size: height and width in pixels.
        scores: metric -> score; metrics that the protocol does not have are missing.
    """

    key: Key
    size: tuple[int, int]
    scores: dict[str, float]


class ScoreTable:
    """A CSV file of scores.

    Attributes:
        rows: rows, in the order of the file.
    """

    def __init__(self, path: Path) -> None:
        """Reads the file, if it exists; a half-written last line is left out.

        Args:
            path: CSV file.

        Raises:
            UserError: The file has other columns.
        """
        self._path = path
        self.rows: dict[Key, Row] = {}
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        if not text:
            return
        complete = text[: text.rfind("\n") + 1]
        if complete != text:
            with new_file(path, overwrite=True) as partial:
                partial.write_text(complete, encoding="utf-8")
        if not complete:
            return
        reader = csv.DictReader(io.StringIO(complete, newline=""))
        if tuple(reader.fieldnames or ()) != _HEADER:
            raise UserError(f"{path} has other columns than scores of `sirr evaluate`; choose another --out")
        for line in reader:
            key = Key(line["set"], line["image"], line["model"], line["model_sha256"], line["protocol"])
            scores = {name: float(line[name]) for name in METRICS if line[name]}
            self.rows[key] = Row(key, (int(line["height"]), int(line["width"])), scores)

    def add(self, row: Row) -> None:
        """Appends a row to the file."""
        new = not self._path.exists() or not self._path.stat().st_size
        with self._path.open("a", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            if new:
                writer.writerow(_HEADER)
            scores = [_text(row.scores.get(name)) for name in METRICS]
            writer.writerow([*row.key, *row.size, *scores])
        self.rows[row.key] = row

    def check_models(self, models: dict[str, str]) -> None:
        """Checks that the file has no scores of another model of the same name.

        Args:
            models: name -> hash.

        Raises:
            UserError: It has.
        """
        for key in self.rows:
            if key.model in models and key.sha256 != models[key.model]:
                raise UserError(
                    f"{self._path} has scores of another model called {key.model!r} (sha256 {key.sha256[:12]}, now "
                    f"{models[key.model][:12]}); choose another --out, or remove the file"
                )


def _text(value: float | None) -> str:
    return "" if value is None or math.isnan(value) else repr(float(value))
