"""Segments a folder of photos: writes one label map per photo, an indexed PNG with a color palette.

    python scripts/precompute_labels.py photos labels --model segmenter.safetensors

The model is a segmenter that `sirr convert` or a training run wrote. Existing label maps are kept, so an interrupted
run can be started again; `--overwrite` replaces them.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import jax
import numpy as np
from PIL import Image

from sirr_jax.data.images.decode import read_image
from sirr_jax.data.images.reader import list_images
from sirr_jax.errors import UserError
from sirr_jax.layers.palettes import palette
from sirr_jax.models import build
from sirr_jax.models.published_segmenter import PublishedSegmenter
from sirr_jax.recipes.common.segmenters import read_segmenter
from sirr_jax.temporary_paths import new_file


def _targets(photos: list[Path], folder: Path, out: Path) -> dict[Path, Path]:
    """Returns photo -> label map, which has the same relative path below `out`."""
    targets = {photo: (out / photo.relative_to(folder)).with_suffix(".png") for photo in photos}
    photo_of: dict[Path, Path] = {}
    for photo, target in targets.items():
        if target in photo_of:
            raise UserError(
                f"the labels of {photo_of[target]} and of {photo} would both be {target}; rename one photograph"
            )
        if target.resolve() == photo.resolve():
            raise UserError(f"the labels of {photo} would replace the photo; choose another output folder")
        photo_of[target] = photo
    return targets


def _write(labels: np.ndarray, colors: np.ndarray, target: Path) -> None:
    image = Image.fromarray(labels.astype(np.uint8), "P")
    image.putpalette(colors.tobytes())
    with new_file(target, overwrite=True) as partial:  # `main` has sorted out the existing ones
        image.save(partial, "PNG")


def main(arguments: list[str] | None = None) -> int:
    """Writes the label maps; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path, help="folder of photos, searched recursively")
    parser.add_argument("out", type=Path, help="folder for the label maps")
    parser.add_argument("--model", type=Path, required=True, metavar="FILE", help=".safetensors file of a segmenter")
    parser.add_argument("--overwrite", action="store_true", help="replace existing label maps")
    args = parser.parse_args(arguments)
    try:
        targets = _targets(list_images(args.photos, recursive=True), args.photos, args.out)
        network = read_segmenter(args.model)
        segmenter = PublishedSegmenter(build(network.id, **network.model_args))
        colors = palette(segmenter.classes)
        label = jax.jit(segmenter.labels)
        existing = {photo for photo, target in targets.items() if target.exists() and not args.overwrite}
        for photo, target in targets.items():
            if photo not in existing:
                image = read_image(photo).astype(np.float32) / np.float32(255)
                _write(np.asarray(label(network.variables, image[None]))[0], colors, target)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{len(targets) - len(existing)} label maps written to {args.out}, {len(existing)} existing ones kept")
    return 0


if __name__ == "__main__":
    sys.exit(main())
