"""The main job from nothing but the installed packages: what `make distill` runs.

Trains a tiny teacher and student on scikit-image's photographs with two CPU devices, makes a photograph with a
reflection out of the one that was held out, removes the reflection with `sirr remove`, and scores the result.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image

from sirr_jax.cli.main import main as sirr
from sirr_jax.cli.tables import print_scores
from sirr_jax.data.images.decode import read_image
from sirr_jax.data.sources.photos import EmbeddedPhotos
from sirr_jax.metrics import score
from sirr_jax.synthesis.multiview import MultiviewOptions, synthesize_single

_CONFIG = Path(__file__).parent.parent / "configs" / "dynamics.py"


def _write(path: Path, image: np.ndarray) -> None:
    Image.fromarray(np.rint(np.clip(image, 0.0, 1.0) * 255.0).astype(np.uint8)).save(path)


def _make_photograph(folder: Path, synthesis: dict[str, Any], *, seed: int) -> None:
    """Mix the two halves of the held-out photograph, at full size, into `mixture.png`; the target beside it."""
    photos = EmbeddedPhotos("validation")
    transmission, reflection = (jnp.asarray(photos.read(i), jnp.float32) / 255.0 for i in range(2))
    height, width = (min(a, b) for a, b in zip(transmission.shape[:2], reflection.shape[:2], strict=True))
    options = MultiviewOptions(size=(height, width), margin=0, **synthesis)
    layers = transmission[:height, :width], reflection[:height, :width]
    mixture = synthesize_single(jax.random.key(seed), *layers, options=options)
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / "mixture.png", np.asarray(mixture.frame))
    _write(folder / "target.png", np.asarray(mixture.transmission))


def main() -> int:
    """Run everything; returns the exit code: that of `sirr train` if it is not 0, for example 75 when asked to stop."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workdir", type=Path, default=Path("runs/distill"))
    args, overrides = parser.parse_known_args()
    code = sirr(["train", f"--config={_CONFIG}:tiny", f"--workdir={args.workdir}", "--cpu_devices=2", *overrides])
    if code:  # 75: asked to stop; the student of such a run is not scored
        return code
    student = args.workdir / "models" / "student.safetensors"
    if not student.exists():
        print(f"{args.workdir} has no student; train one with config.student.steps above 0", file=sys.stderr)
        return 2

    folder = args.workdir / "photograph"
    config = json.loads((args.workdir / "config.json").read_text(encoding="utf-8"))
    _make_photograph(folder, config["data"]["synthesis"], seed=1)
    restored = folder / "restored.png"
    command = ["remove", str(folder / "mixture.png"), "--model", str(student), "--out", str(restored), "--overwrite"]
    print("\nsirr " + " ".join(command))
    if code := sirr(command):
        return code
    images = {name: read_image(folder / f"{name}.png") / 255.0 for name in ("mixture", "restored", "target")}
    scores = {name: score(images[name], images["target"]) for name in ("mixture", "restored")}
    print_scores("One held-out photograph at full size, written, restored and read as files", scores)
    _write(folder / "comparison.png", np.concatenate(list(images.values()), axis=1))
    print(f"mixture | restored | target: {folder / 'comparison.png'}")
    print(f"validation panels (input | teacher | student | target): {args.workdir / 'panels'}")
    print(f"student: {student}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
