"""The guide "Add a system", followed word for word: its files are written, its commands run."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
GUIDE = (ROOT / "docs" / "guides" / "add-a-system.md").read_text(encoding="utf-8")
BLOCKS = dict(re.findall(r"```\w+ title=\"([^\"]+)\"\n(.*?)```", GUIDE, re.DOTALL))
COMMANDS = re.findall(r"^sirr .+$", GUIDE.split("## 5.")[1].split("## 6.")[0], re.MULTILINE)

RUN = """
import sys, shlex, numpy as np
from PIL import Image
from sirr_jax.cli.main import main
Image.fromarray(np.random.default_rng(0).integers(0, 256, (37, 51, 3), np.uint8)).save("photo.png")
for command in sys.argv[1:]:
    print("$", command, flush=True)
    code = main(shlex.split(command)[1:])
    if code:
        sys.exit(code)
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The guide's package as pip installs it: its files, and the metadata with its entry points."""
    root = tmp_path_factory.mktemp("toy")
    site, work = root / "site", root / "work"
    work.mkdir()
    for name, code in BLOCKS.items():
        path = site / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(code, encoding="utf-8")
    metadata = site / "toy_systems-0.1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: toy_systems\nVersion: 0.1\n")
    (group, points), *rest = re.findall(
        r"^\[project\.entry-points\.(\w+)\]\n((?:\w+ = .+\n)+)", BLOCKS["pyproject.toml"], re.M
    )
    assert not rest
    (metadata / "entry_points.txt").write_text(f"[{group}]\n{points.replace(chr(34), '')}")
    code = f"import sys; sys.path.insert(0, {str(site)!r})\n{RUN}"
    done = subprocess.run(
        [sys.executable, "-c", code, *COMMANDS], cwd=work, capture_output=True, text=True, timeout=300, check=False
    )
    return work, done


def test_the_guide_has_four_files_and_the_packages_own():
    rooms = {Path(name).parent.name for name in BLOCKS if name.endswith(".py")}
    assert rooms == {"models", "losses", "key_maps", "configs"}
    assert len(BLOCKS) == 5
    assert len(COMMANDS) == 5


def test_commands_of_the_guide_run(installed):
    work, done = installed
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^toy/generator +2026 +MIT +github.com/nobody/toy", done.stdout, re.MULTILINE)
    assert (work / "restored.png").stat().st_size > 1_000
    assert (work / "runs/toy/scores.json").exists()


def test_the_toys_weights_survive_the_round_trip(installed):
    from safetensors.numpy import load_file

    work, _ = installed
    trained, converted = (
        load_file(work / name) for name in ("runs/toy/models/generator.safetensors", "toy.safetensors")
    )
    assert trained.keys() == converted.keys()
    assert all((trained[name] == converted[name]).all() for name in trained)
