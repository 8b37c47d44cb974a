"""Write the README's table of networks from the registry: `python scripts/model_table.py`.

Parameters and MACs are counted by tracing the networks; nothing is run. `--check` compares instead of writing.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from sirr_jax.models import build
from sirr_jax.models.macs import cost
from sirr_jax.models.registry import REGISTRY
from sirr_jax.weights.provenance import pretrained_info

README = Path(__file__).parent.parent / "README.md"
BEGIN, END = "<!-- models -->\n", "<!-- end of models -->"
HEAD = (
    "| network | year | parameters | MACs at 256x256 | license of the original weights | "
    "where the authors publish them | verified by |",
    "|---|---|---|---|---|---|---|",
)


def table() -> str:
    """The table in Markdown, one row per network id."""
    rows = [row(network_id) for network_id in sorted(REGISTRY)]
    return "\n".join((*HEAD, *rows)) + "\n"


def row(network_id: str) -> str:
    """One network's row."""
    entry, origin, counted = REGISTRY[network_id], pretrained_info(network_id), cost(build(network_id))
    tied = {shape[-3:-1] for shape in counted.shapes} - {(256, 256)}
    at = f" (at {tied.pop()[0]})" if tied else ""
    where = (
        f"[{origin.repository}](https://github.com/{origin.repository}): {origin.weights}" if origin.repository else "-"
    )
    return (
        f"| `{network_id}` | {entry.year} | {counted.parameters:,} | {counted.macs / 1e9:.2f} G{at} | "
        f"{origin.license if origin.repository else '-'} | {where} | {entry.verified} |"
    )


def main() -> int:
    """Write or check the table; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="fail if the README's table is out of date")
    args = parser.parse_args()
    text = README.read_text()
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    made = before + BEGIN + table() + END + after
    if args.check:
        return int(made != text)
    README.write_text(made)
    return 0


if __name__ == "__main__":
    sys.exit(main())
