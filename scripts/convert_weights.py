"""Runs `sirr convert` from a checkout: `python scripts/convert_weights.py SRC DST`."""

from __future__ import annotations

import sys

from sirr_jax.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["convert", *sys.argv[1:]]))
