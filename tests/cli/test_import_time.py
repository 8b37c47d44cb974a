"""Help texts and image decoding import no heavy libraries. Modules are counted, because seconds vary."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

HEAVY = {"jax", "jaxlib", "flax", "optax", "orbax", "tensorflow", "torch", "skimage", "scipy", "h5py"}

_MAIN = """
from sirr_jax.cli.main import main
try:
    main(sys.argv[1:])
except SystemExit as stop:
    assert stop.code == 0
"""
_DECODE = """
from sirr_jax.data.images.decode import read_image
assert read_image(sys.argv[1]).shape == (5, 4, 3)
"""
_PACKAGE = "import sirr_jax"


def imported(code, *arguments):
    """Top-level modules outside the standard library that a new interpreter imports when it runs the code."""
    script = (
        "import json, sys\nbefore = set(sys.modules)\n"
        f"{code}\n"
        "names = {name.split('.')[0] for name in set(sys.modules) - before}\n"
        "print(json.dumps(sorted(names - set(sys.stdlib_module_names))), file=sys.stderr)\n"
    )
    result = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=True)
    return set(json.loads(result.stderr.splitlines()[-1]))


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["remove", "--help"],
        ["convert", "--help"],
        ["data", "--help"],
        ["data", "check", "--help"],
        ["synthesize", "--help"],
        ["models", "--help"],
    ],
)
def test_help_imports_only_numpy_and_pillow(arguments):
    assert imported(_MAIN, *arguments) <= {"sirr_jax", "numpy", "PIL"}


def test_help_of_train_imports_no_heavy_library():
    names = imported(_MAIN, "train", "--help")
    assert {"sirr_jax", "ml_collections"} <= names
    assert not names & (HEAVY | {"numpy"})


def test_decoding_imports_only_numpy_and_pillow(tmp_path):
    Image.fromarray(np.zeros((5, 4, 3), np.uint8)).save(tmp_path / "image.png")
    assert imported(_DECODE, str(tmp_path / "image.png")) <= {"sirr_jax", "numpy", "PIL"}


def test_package_imports_nothing():
    assert imported(_PACKAGE) == {"sirr_jax"}
