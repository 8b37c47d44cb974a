"""`sirr models`: what can be built."""

from __future__ import annotations

import argparse


def run(argv: list[str]) -> int:
    """List network ids, one per line."""
    parser = argparse.ArgumentParser(prog="sirr models", description="List the ids of all networks.")
    parser.parse_args(argv)
    from sirr_jax.models import list_networks

    print("\n".join(list_networks()))
    return 0
