"""Generation of a data set on disk from photos; the same seed gives the same bytes."""

from __future__ import annotations

import hashlib
import io
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
from sirr_jax.data.samples.base import check_two_photos
from sirr_jax.data.sources.filtering import Screening, screen
from sirr_jax.data.sources.photos import PhotoSource
from sirr_jax.errors import UserError
from sirr_jax.json_text import to_json
from sirr_jax.temporary_paths import new_folder

_SHEET_ROWS = 16
_SHEET_SIDE = 200
_MAX_TRIES = 50


class GeneratedDataset(NamedTuple):
    """A generated data set.

    Attributes:
        folder: folder of the data set.
        screening: used and skipped photos.
    """

    folder: Path
    screening: Screening


def generate_dataset(
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
) -> GeneratedDataset:
    """Generates samples and writes them: one folder per layer, `manifest.json` and `contact_sheet.png`.

    The set is written beside `folder`, under a name of its own, and renamed when it is complete.
    Photos are cropped to squares at random positions and downscaled by a factor of up to 2. All photos are decoded and
    checked before the first sample (`screen`).

    Args:
        folder: output folder; must not exist.
        photos: source of clean photos.
        kind: kind of sample for the manifest, see `sirr_jax.data.prepare.generate.kinds`.
        generator: generator of that kind, see `sirr_jax.data.prepare.generate.get_generator`.
        count: number of samples, 1 or more.
        seed: base random seed.
        size: side of the images in pixels, 16 or more.
        on_corrupt: rule for photos that are unreadable, nearly black or smaller than `size`. "error" raises an error;
            "skip" leaves them out and lists them in the manifest.
        report: progress callback; takes the number of finished samples.

    Returns:
        The folder, and the used and skipped photos.

    Raises:
        UserError: The folder exists or is made by another program in the meantime, a value is out of range, a photo is
            unusable and `on_corrupt` is "error", no photo is usable, or the rule of the kind rejects 50 tries in a row.
    """
    folder = Path(folder)
    if folder.exists():
        raise UserError(f"{folder} exists; choose another folder or remove it first")
    if count < 1 or size < 16:
        raise UserError(f"count is {count} and size {size}; expected at least 1 sample of at least 16 px")
    screening = screen(photos, min_side=size, on_corrupt=on_corrupt)
    if generator.photographs == 2:
        check_two_photos(screening.photos)
    with new_folder(folder) as partial:
        samples, sheet = [], []
        digits = len(str(count - 1))
        for number in range(count):
            sample, photographs = _sample(
                generator.photographs, generator.make, screening.photos, seed=seed, number=number, size=size
            )
            name = f"{number:0{digits}d}.png"
            files = {layer: _write(partial / layer / name, image) for layer, image in sample.images.items()}
            samples.append({"name": name, **photographs, "parameters": sample.parameters, "sha256": files})
            if number < _SHEET_ROWS:
                sheet.append(list(sample.images.values()))
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
        (partial / "manifest.json").write_text(to_json(manifest, indent=1) + "\n")
        _write(partial / "contact_sheet.png", contact_sheet(sheet, gap=4, side=_SHEET_SIDE))
    return GeneratedDataset(folder, screening)


def _sample(
    photographs: int,
    make: Callable[[int, int, tuple[np.ndarray, ...]], GeneratedSample],
    photos: PhotoSource,
    *,
    seed: int,
    number: int,
    size: int,
) -> tuple[GeneratedSample, dict[str, Any]]:
    """Generates a sample that the rule of its kind accepts; returns it with its photos and number of tries."""
    key = StreamKey(seed, "make_set")  # the name determines the random stream
    for attempt in range(_MAX_TRIES):
        # The tries of different samples have different positions.
        position = number * _MAX_TRIES + attempt
        pair = two_items_at(key, position, len(photos))
        indices = pair if photographs == 2 else pair[:1]
        rng = key.generator("crop", position)
        crops = []
        for index in indices:
            photo = photos.read(index)
            region = draw_region(rng, photo.shape[:2], canvas=size, crop=size, max_scale=2.0, name=photos.name(index))
            crops.append(cut(photo, region, size))
        sample = make(seed, position, tuple(crops))
        if sample.accepted:
            return sample, {"photographs": [Path(photos.name(index)).name for index in indices], "tries": attempt + 1}
    raise UserError(
        f"sample {number} was rejected {_MAX_TRIES} times by the rule of its kind; the photos are too dark or "
        "too similar: use other photos"
    )


def _write(path: Path, image: np.ndarray) -> str:
    """Writes a PNG file and returns its SHA-256."""
    path.parent.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    path.write_bytes(buffer.getvalue())
    return hashlib.sha256(buffer.getvalue()).hexdigest()
