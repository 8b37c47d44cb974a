"""Segment a folder of photographs: one indexed PNG of classes for each, colored by a palette.

    python scripts/precompute_labels.py photos labels --model segmenter.safetensors

The model is a segmenter that `sirr convert` or a training run wrote. Labels that exist already are kept, so that an
interrupted run can be started again; `--overwrite` makes them anew.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import jax
import numpy as np
from PIL import Image

from sirr_jax.data.images.decode import read_image
from sirr_jax.data.images.palettes import palette
from sirr_jax.data.images.reader import list_images
from sirr_jax.errors import UserError
from sirr_jax.models import build
from sirr_jax.recipes.common.segmenters import PublishedSegmenter, read_segmenter


def _targets(photos: list[Path], folder: Path, out: Path) -> dict[Path, Path]:
    """Photograph -> its label image, which has its place and name below `out`."""
    targets = {photo: (out / photo.relative_to(folder)).with_suffix(".png") for photo in photos}
    taken: dict[Path, Path] = {}
    for photo, target in targets.items():
        if target in taken:
            raise UserError(
                f"the labels of {taken[target]} and of {photo} would both be {target}; rename one photograph"
            )
        if target.resolve() == photo.resolve():
            raise UserError(f"the labels of {photo} would take its place; choose another output folder")
        taken[target] = photo
    return targets


def _write(labels: np.ndarray, colors: np.ndarray, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(labels.astype(np.uint8), "P")
    image.putpalette(colors.tobytes())
    partial = target.with_name(target.name + ".partial")
    image.save(partial, "PNG")
    partial.replace(target)


def main(arguments: list[str] | None = None) -> int:
    """Write the labels; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path, help="folder of photographs, and the folders inside it")
    parser.add_argument("out", type=Path, help="folder for the labels")
    parser.add_argument("--model", type=Path, required=True, help="the segmenter's .safetensors")
    parser.add_argument("--overwrite", action="store_true", help="make labels that exist already anew")
    args = parser.parse_args(arguments)
    try:
        targets = _targets(list_images(args.photos, recursive=True), args.photos, args.out)
        network = read_segmenter(args.model)
        segmenter = PublishedSegmenter(build(network.id, **network.model_args))
        colors = palette(segmenter.classes)
        label = jax.jit(segmenter.labels)
        kept = {photo for photo, target in targets.items() if target.exists() and not args.overwrite}
        for photo, target in targets.items():
            if photo not in kept:
                image = read_image(photo).astype(np.float32) / np.float32(255)
                _write(np.asarray(label(network.variables, image[None]))[0], colors, target)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{len(targets) - len(kept)} written to {args.out}, {len(kept)} were there and kept")
    return 0


if __name__ == "__main__":
    sys.exit(main())
