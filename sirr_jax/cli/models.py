"""`sirr models`: lists the networks."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from sirr_jax.cli.argument_parser import ArgumentParser


def parser() -> argparse.ArgumentParser:
    """Returns the command line of `sirr models`."""
    return ArgumentParser(
        prog="sirr models",
        description="List the networks: id, year of publication, license of the published weights, and the repository "
        "that publishes them. `sirr convert` converts these weights; nothing is downloaded.",
    )


def run(argv: list[str]) -> int:
    """Prints one line per network."""
    parser().parse_args(argv)
    from sirr_jax.models.registry import NETWORKS

    rows: list[Sequence[str]] = [("ID", "YEAR", "LICENSE", "SOURCE OF THE WEIGHTS")]
    for network_id, network in NETWORKS.items():
        info = network.source
        if not info.repository:
            license_, source = "-", "none published; train with `sirr train`"
        else:
            license_ = info.license
            unpublished = info.weights.startswith(("none", "announced"))
            source = f"github.com/{info.repository}{' (no published weights)' if unpublished else ''}"
        rows.append((network_id, str(network.year), license_, source))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    return 0
