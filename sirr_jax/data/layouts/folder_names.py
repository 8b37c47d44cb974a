"""Names of folders as releases and unpacking programs spell them: case, separators, plurals, wrapping folders.

A release is held as `Postcard Dataset`, `PostcardDataset` or `postcard_dataset`, and often one folder deeper than its
authors packed it (`Real20/Real20/blended`). All of these are the same data set.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection
from pathlib import Path

from sirr_jax.data.images.passing_errors import is_passing, retried
from sirr_jax.data.images.reader import IMAGE_EXTENSIONS, is_clutter, list_folder
from sirr_jax.errors import UserError

_MAX_WRAPPERS = 4
# Folders of more subfolders are not searched for doubly packed layers: each would have to be listed.
_MAX_SEARCHED = 16
_SPLITS = {"training": "train", "trn": "train", "validation": "val", "valid": "val", "testing": "test"}


def plain_name(name: str) -> str:
    """Returns what a name says without its spelling: lower-case letters and digits, split names abridged, no plural.

    Args:
        name: name of a folder, such as `Transmission Layers` or `Validation`.

    Returns:
        Comparable name, such as `transmissionlayer` or `val`. Names of a single letter are kept as they are: a folder
        `a` is not another spelling of `A`.
    """
    plain = re.sub(r"[^a-z0-9]", "", name.lower())
    if len(plain) < 2:
        return name
    if len(plain) > 2 and plain.endswith("s"):
        plain = plain[:-1]
    return _SPLITS.get(plain, plain)


def subfolders(folder: Path) -> list[Path]:
    """Returns the folders in a folder by name, without hidden ones and clutter; none if it cannot be listed."""

    def read() -> list[Path]:
        with os.scandir(folder) as entries:
            return sorted(Path(entry) for entry in entries if entry.is_dir() and not is_clutter(entry.name))

    try:
        return retried(read, name=str(folder))
    except OSError as error:
        if is_passing(error):
            raise
        return []


def subfolder(root: Path, name: str) -> Path:
    """Finds a folder by its name in any spelling.

    Args:
        root: folder that contains it.
        name: name, or several joined by `/`.

    Returns:
        The folder of exactly this name, or else of another spelling of it; below wrappers of the same name. A path that
        does not exist if there is none.
    """
    for part in name.split("/"):
        found = root / part
        if not found.is_dir():
            found = next((path for path in subfolders(root) if plain_name(path.name) == plain_name(part)), None) or (
                _inside_wrapper(root, part) or found
            )
        root = _without_doubles(found)
    return root


def spellings(root: Path, name: str) -> list[Path]:
    """Returns all folders of a name in any spelling, the exact one first."""
    found = [path for path in subfolders(root) if plain_name(path.name) == plain_name(name)]
    return sorted(found, key=lambda path: path.name != name)


def levels(root: Path) -> list[Path]:
    """Returns a folder and the folders that it wraps: each the only folder in the one before, which has no images."""
    found = [root]
    while len(found) <= _MAX_WRAPPERS and (inner := _only_folder(found[-1])) is not None:
        found.append(inner)
    return found


def unwrap(root: Path, fits: Callable[[Path], bool]) -> Path | None:
    """Returns the first of `levels(root)` that fits; None if none does."""
    return next((folder for folder in levels(root) if fits(folder)), None)


def names_of(folder: Path) -> list[str]:
    """Returns the name of a folder, and those of the folders that only wrap it."""
    folder = folder.absolute()
    names = [folder.name]
    while len(names) <= _MAX_WRAPPERS and _only_folder(folder.parent) == folder:
        folder = folder.parent
        names.append(folder.name)
    return names


def is_named(folder: Path, names: Collection[str]) -> bool:
    """Returns whether a folder, or one that only wraps it, has one of the names: `real20_420`, `Nature (1)`.

    Args:
        folder: folder of a data set.
        names: names in lower-case letters and digits; digits may follow.
    """
    plain = [re.sub(r"[^a-z0-9]", "", name.lower()) for name in names_of(folder)]
    return any(re.fullmatch(rf"{name}[0-9]*", own) for own in plain for name in names)


def _only_folder(folder: Path) -> Path | None:
    inner = subfolders(folder)
    if len(inner) != 1:
        return None
    try:
        files = (path for path in list_folder(folder) if path != inner[0])
        return None if any(path.suffix.lower() in IMAGE_EXTENSIONS for path in files) else inner[0]
    except UserError:
        return None


def _without_doubles(folder: Path) -> Path:
    """Returns the innermost of wrappers of the same name, `blended/blended`."""
    for _ in range(_MAX_WRAPPERS):
        inner = _only_folder(folder)
        if inner is None or plain_name(inner.name) != plain_name(folder.name):
            break
        folder = inner
    return folder


def _inside_wrapper(root: Path, name: str) -> Path | None:
    """Returns the folder of this name that another folder only wraps: `gtFine_trainvaltest/gtFine`."""
    outer = subfolders(root)
    if len(outer) > _MAX_SEARCHED:
        return None
    inner = (_only_folder(folder) for folder in outer)
    return next((path for path in inner if path is not None and plain_name(path.name) == plain_name(name)), None)
