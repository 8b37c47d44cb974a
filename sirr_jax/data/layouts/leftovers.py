"""Images in a data set that its layout does not read: a check names them, so that no count changes in silence."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

from sirr_jax.data.images.image_file import path_of
from sirr_jax.data.images.reader import IMAGE_EXTENSIONS, is_clutter
from sirr_jax.data.layouts.base import Finding, Layout, Scan

# Pictures of kinds that no reader opens, and archives that may hold pictures.
_OTHER_PICTURES = re.compile(
    r"\.(gif|hei[cf]|avif|jxl|jp2|jfif|jpe|cr[23]|nef|arw|dng|orf|rw2|raf|exr|hdr|tga|psd)", re.I
)
_ARCHIVES = re.compile(r"\.(zip|7z|rar|tar|gz|tgz|bz2|xz)", re.I)


def leftovers(root: Path, layout: Layout, scan: Scan) -> list[Finding]:
    """Lists what a scan neither read nor mentioned, one note per folder.

    Args:
        root: folder of the set.
        layout: recognized layout.
        scan: result of its scan.

    Returns:
        Notes about folders with unread images, pictures of other kinds, and archives.
    """
    known = {path_of(file) for entry in scan.entries() for file in entry.files.values()}
    known |= {finding.path for finding in scan.findings if finding.path != root}
    unread: dict[Path, list[str]] = defaultdict(list)
    for path in _files(root):
        within = path.relative_to(root).as_posix().lower()
        if path not in known and path.parent not in known and not any(fnmatch(within, p) for p in layout.unread):
            unread[path.parent].append(path.name)
    return [finding for folder, names in unread.items() for finding in _notes(folder, sorted(names))]


def _notes(folder: Path, names: list[str]) -> Iterator[Finding]:
    images = [name for name in names if Path(name).suffix.lower() in IMAGE_EXTENSIONS]
    others = [name for name in names if _OTHER_PICTURES.fullmatch(Path(name).suffix)]
    archives = [name for name in names if _ARCHIVES.fullmatch(Path(name).suffix)]
    if images:
        yield Finding("not read", folder, f"{_count(images)} outside the layout; not read")
    if others:
        yield Finding("not read", folder, f"{_count(others)} of a kind that is not read; convert to PNG or JPEG")
    for name in archives:
        yield Finding("not read", folder / name, "an archive; not read, unpack it if it belongs to the set")


def _count(names: list[str]) -> str:
    return f"{len(names)} images ({names[0]}, ...)" if len(names) > 1 else f"the image {names[0]}"


def _files(root: Path) -> Iterator[Path]:
    visited: set[str] = set()
    for current, folders, files in os.walk(root, followlinks=True):
        resolved = os.path.realpath(current)
        if resolved in visited:
            folders.clear()
            continue
        visited.add(resolved)
        folders[:] = sorted(name for name in folders if not is_clutter(name))
        for name in files:
            if not is_clutter(name):
                yield Path(current) / name
