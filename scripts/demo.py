"""Restores a mixture of two embedded photographs with the bundled student: what `make demo` runs.

    python scripts/demo.py --out runs/demo

Writes `mixture.png`, `mixture.restored.png` (by `sirr remove`), `target.png` and `before_after.png`, and prints the
scores of the mixture and of the result. The reflection is synthetic: a blurred photograph, added as CEILNet's model
does. The student was not trained on these photographs.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps
from skimage import data

from sirr_jax.cli.main import main as sirr
from sirr_jax.cli.tables import print_scores
from sirr_jax.data.images.decode import read_image
from sirr_jax.metrics import score
from sirr_jax.synthesis.reflection import CeilnetOptions, get_synthesis

_SIZE = (600, 400)  # width, height
_BRIGHTNESS = 0.6  # factor on the reflected photograph
_SIGMA = 4.0  # of the reflection's blur, pixels


def _photo(array: np.ndarray) -> jax.Array:
    """A photograph, scaled and cropped to the size of the demo: [H, W, 3] float32 in [0, 1]."""
    fitted = ImageOps.fit(Image.fromarray(array).convert("RGB"), _SIZE, Image.Resampling.LANCZOS)
    return jnp.asarray(np.asarray(fitted), jnp.float32) / 255.0


def _write(path: Path, image: np.ndarray) -> None:
    Image.fromarray(np.rint(np.clip(image, 0.0, 1.0) * 255.0).astype(np.uint8)).save(path)


def _before_after(before: np.ndarray, after: np.ndarray) -> Image.Image:
    """Both images side by side, with their names in a corner."""
    sheet = Image.fromarray(np.concatenate([before, np.full((before.shape[0], 8, 3), 255, np.uint8), after], axis=1))
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=20)
    for x, name in ((0, "mixture"), (before.shape[1] + 8, "sirr remove")):
        left, top, right, bottom = draw.textbbox((x + 14, 12), name, font=font)
        draw.rectangle((left - 6, top - 5, right + 6, bottom + 5), fill=(0, 0, 0))
        draw.text((x + 14, 12), name, font=font, fill=(255, 255, 255))
    return sheet


def main(argv: list[str]) -> int:
    """Makes the pictures; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/demo"), help="folder to write to (default: %(default)s)")
    out: Path = parser.parse_args(argv).out
    out.mkdir(parents=True, exist_ok=True)
    mix = jax.jit(get_synthesis("ceilnet").synthesize, static_argnames="options")
    transmission, reflection = _photo(data.chelsea()), _BRIGHTNESS * _photo(data.coffee())
    options = CeilnetOptions(sigma=(_SIGMA, _SIGMA))
    _write(out / "mixture.png", np.asarray(mix(jax.random.key(0), transmission, reflection, options=options).mixture))
    _write(out / "target.png", np.asarray(transmission))

    command = ["remove", str(out / "mixture.png"), "--overwrite"]
    print("sirr " + " ".join(command), flush=True)
    if code := sirr(command):
        return code
    images = {name: read_image(out / f"{name}.png") for name in ("mixture", "mixture.restored", "target")}
    scores = {name: score(images[name] / 255.0, images["target"] / 255.0) for name in ("mixture", "mixture.restored")}
    print_scores("Embedded photographs, synthetic reflection, protocol errnet", scores)
    _before_after(images["mixture"], images["mixture.restored"]).save(out / "before_after.png")
    print(f"before and after: {out / 'before_after.png'}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
