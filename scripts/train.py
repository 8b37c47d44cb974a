"""Runs `sirr train` from a checkout: `python scripts/train.py --config=dynamics:tiny --workdir=runs/tiny`."""

from __future__ import annotations

import sys

from sirr_jax.cli.main import main

if __name__ == "__main__":
    sys.argv[1:1] = ["train"]
    sys.exit(main())
