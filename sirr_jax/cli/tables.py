"""Tables of scores for the terminal."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Console
from rich.table import Table

_DIGITS = {"psnr": 2, "ssim": 4, "lmse": 4, "ncc": 4, "miou": 4, "image_miou": 4, "pa": 4, "ma": 4, "fwiou": 4}


def print_scores(title: str, scores: Mapping[str, Mapping[str, float | None]]) -> None:
    """Prints one row per image source and one column per metric (PSNR in dB; lower LMSE is better).

    Args:
        title: title of the table.
        scores: row name ("input", "student", ...) -> metric -> value; None for one that is not finite.
    """
    table = Table(title=title)
    table.add_column("")
    names = [name for name in _DIGITS if any(name in row for row in scores.values())]
    for name in names:
        table.add_column(name.upper().replace("_", " ") + (" dB" if name == "psnr" else ""), justify="right")
    for label, row in scores.items():
        table.add_row(label, *(_text(name, row[name]) if name in row else "" for name in names))
    Console().print(table)


def _text(name: str, value: float | None) -> str:
    return "-" if value is None else f"{float(value):.{_DIGITS[name]}f}"
