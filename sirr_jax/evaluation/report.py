"""The summary of scores as JSON and as a Markdown table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sirr_jax.evaluation.score_table import METRICS
from sirr_jax.metrics import PROTOCOLS

_DIGITS = {"psnr": "{:.2f}", "ssim": "{:.4f}", "ncc": "{:.4f}", "lmse": "{:.4f}", "ms_ssim": "{:.4f}"}


def markdown(summary: Mapping[str, Any], stamp: Mapping[str, Any]) -> str:
    """Writes the tables, one for each set and protocol.

    Args:
        summary: result of `sirr_jax.evaluation.summary.summarize`.
        stamp: version, models, protocols and their hashes.

    Returns:
        Markdown.
    """
    parts = ["# Scores"]
    protocols = list(dict.fromkeys(p for s in summary.values() for m in s["models"].values() for p in m))
    for name, of_set in summary.items():
        for protocol in protocols:
            rows = {model: of[protocol] for model, of in of_set["models"].items() if protocol in of}
            metrics = [metric for metric in METRICS if any(metric in row for row in rows.values())]
            parts.append(f"## {name}, protocol {protocol}\n\n" + _table(metrics, rows))
    parts += [f"Protocol `{protocol}`: {PROTOCOLS[protocol].description}" for protocol in protocols]
    parts.append(
        "Worse: images whose PSNR is below the input's. PSNR 95 %: bootstrap interval of the mean. "
        "Images are scored at their size; nothing is resized or cropped unless the protocol says so."
    )
    models = ", ".join(f"{name} {sha256[:12]}" if sha256 else name for name, sha256 in stamp["models"].items())
    parts.append(f"sirr_jax {stamp['version']}; models (SHA-256): {models}")
    return "\n\n".join(parts) + "\n"


def _table(metrics: Sequence[str], rows: Mapping[str, Mapping[str, Any]]) -> str:
    head = ("model", "images", *(metric.upper().replace("_", "-") for metric in metrics), "PSNR 95 %", "worse", "worst")
    lines = [_line(head), _line(["---"] * len(head))]
    for model, row in rows.items():
        values = [_DIGITS[metric].format(row[metric]) if metric in row else "" for metric in metrics]
        interval = row["interval"].get("psnr")
        between = f"{interval[0]:.2f} to {interval[1]:.2f}" if interval else ""
        lines.append(_line([model, str(row["images"]), *values, between, str(row["worse"]), row.get("worst", "")]))
    return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
