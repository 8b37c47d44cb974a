"""`python scripts/train.py --config=configs/dynamics.py:tiny --workdir=runs/tiny`: the same as `sirr train`."""

from __future__ import annotations

import sys

from sirr_jax.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["train", *sys.argv[1:]]))
