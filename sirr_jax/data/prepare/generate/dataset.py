"""A data set on disk, made from photographs: the same seed, the same bytes."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

import sirr_jax
from sirr_jax.data.images.crops import cut, draw_region
from sirr_jax.data.images.grid import contact_sheet
from sirr_jax.data.images.reader import OnCorrupt
from sirr_jax.data.prepare.generate import GeneratedSample, SampleGenerator
from sirr_jax.data.random_access import StreamKey, two_items_at
from sirr_jax.data.sources.filtering import Screening, screen
from sirr_jax.data.sources.photos import PhotoSource
from sirr_jax.errors import UserError

_SHEET_ROWS = 16
_SHEET_SIDE = 200
_MOST_TRIES = 50


class MadeSet(NamedTuple):
    """A data set that was made.

    Attributes:
        folder: where it lies.
        screening: which photographs were used and which were not.
    """

    folder: Path
    screening: Screening


def make_set(
    folder: str | Path,
    photos: PhotoSource,
    *,
    kind: str,
    generator: SampleGenerator,
    count: int,
    seed: int,
    size: int,
    on_corrupt: OnCorrupt = "error",
    report: Callable[[int], None] = lambda done: None,  # noqa: ARG005
) -> MadeSet:
    """Make samples and write them: a folder per layer, `manifest.json`, `contact_sheet.png`.

    The folder appears when it is complete; what a killed process leaves is called `<folder>.partial` and is begun
    anew. Photographs are cropped to squares at random places and up to twice their scale. Before the first sample each
    is decoded once and looked at (`screen`).

    Args:
        folder: to be made; must not exist.
        photos: clean photographs.
        kind: for the manifest, see `sirr_jax.data.prepare.generate.kinds`.
        generator: of that kind, see `sirr_jax.data.prepare.generate.get_generator`.
        count: samples, 1 or more.
        seed: of everything that is random.
        size: side of the images in pixels, 16 or more.
        on_corrupt: what to do with a photograph that is unreadable, nearly black or smaller than `size`: "error"
            raises, "skip" leaves it out and lists it in the manifest.
        report: called with the number of samples done.

    Returns:
        The folder, and which photographs were left out.

    Raises:
        UserError: if the folder exists, a value is impossible, a photograph cannot be used and `on_corrupt` is
            "error", none can be used, or the kind's own rule rejects 50 tries in a row.
    """
    folder = Path(folder)
    if folder.exists():
        raise UserError(f"{folder} exists; choose another folder or remove it first")
    if count < 1 or size < 16:
        raise UserError(f"count is {count} and size {size}; expected at least 1 sample of at least 16 px")
    screening = screen(photos, least=size, on_corrupt=on_corrupt)
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    samples, sheet = [], []
    digits = len(str(count - 1))
    for number in range(count):
        made, said = _sample(
            generator.photographs, generator.make, screening.photos, seed=seed, number=number, size=size
        )
        name = f"{number:0{digits}d}.png"
        files = {layer: _write(partial / layer / name, image) for layer, image in made.images.items()}
        samples.append({"name": name, **said, "parameters": made.parameters, "sha256": files})
        if number < _SHEET_ROWS:
            sheet.append(list(made.images.values()))
        report(number + 1)
    manifest = {
        "kind": kind,
        "options": generator.options,
        "seed": seed,
        "size": size,
        "count": count,
        "sirr_jax": sirr_jax.__version__,
        "skipped": [{"name": Path(name).name, "fault": fault} for name, fault in screening.skipped],
        "samples": samples,
    }
    (partial / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")
    _write(partial / "contact_sheet.png", contact_sheet(sheet, gap=4, side=_SHEET_SIDE))
    partial.replace(folder)
    return MadeSet(folder, screening)


def _sample(
    photographs: int,
    make: Callable[[int, int, tuple[np.ndarray, ...]], GeneratedSample],
    photos: PhotoSource,
    *,
    seed: int,
    number: int,
    size: int,
) -> tuple[GeneratedSample, dict[str, Any]]:
    """A sample that the kind's rule keeps, and where it comes from."""
    key = StreamKey(seed, "make_set")
    for attempt in range(_MOST_TRIES):
        # Tries of one sample lie apart from those of all others.
        position = number * _MOST_TRIES + attempt
        pair = two_items_at(key, position, len(photos))
        chosen = pair if photographs == 2 else pair[:1]
        rng = key.generator("crop", position)
        crops = []
        for index in chosen:
            photo = photos.read(index)
            region = draw_region(rng, photo.shape[:2], canvas=size, crop=size, max_scale=2.0, name=photos.name(index))
            crops.append(cut(photo, region, size))
        made = make(seed, position, tuple(crops))
        if made.kept:
            return made, {"photographs": [Path(photos.name(index)).name for index in chosen], "tries": attempt + 1}
    raise UserError(
        f"sample {number} was rejected {_MOST_TRIES} times by the rule of its kind; the photographs are too dark or "
        "too alike: give others"
    )


def _write(path: Path, image: np.ndarray) -> str:
    """Write a PNG; returns its SHA-256."""
    path.parent.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    path.write_bytes(buffer.getvalue())
    return hashlib.sha256(buffer.getvalue()).hexdigest()
