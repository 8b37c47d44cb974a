"""A folder of unpaired, unlabelled photos."""

from __future__ import annotations

from pathlib import Path

from sirr_jax.data.images.reader import IMAGE_EXTENSIONS, list_folder, list_images
from sirr_jax.data.layouts.base import Entry, Layout, Part, Scan
from sirr_jax.data.layouts.registry import register


def _recognize(root: Path) -> bool:
    # Photos must lie at the top level: subfolders alone may be the layers of an unknown data set.
    return any(path.suffix.lower() in IMAGE_EXTENSIONS for path in list_folder(root) if not path.is_dir())


def _scan(root: Path) -> Scan:
    entries = [
        Entry(path.relative_to(root).as_posix(), {"transmission": path}) for path in list_images(root, recursive=True)
    ]
    return Scan((Part("", tuple(entries)),), ())


PHOTOS = Layout("photos", "photographs", "<photo>, and optionally subfolders of photos", "", _recognize, _scan)

register(PHOTOS, rank=320)
