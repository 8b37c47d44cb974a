"""`python scripts/convert_weights.py SRC DST`: the same as `sirr convert`."""

from __future__ import annotations

import sys

from sirr_jax.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["convert", *sys.argv[1:]]))
