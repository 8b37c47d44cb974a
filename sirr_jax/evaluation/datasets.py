"""The pairs to score, from any data set of a known layout."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import NamedTuple

from sirr_jax.data.find_dataset import find_set
from sirr_jax.data.images.image_file import ImageFile
from sirr_jax.data.images.reader import list_folder
from sirr_jax.errors import UserError

_log = logging.getLogger(__name__)


class Pair(NamedTuple):
    """A degraded picture and its target.

    Attributes:
        name: name of the picture within the set, including folders.
        mixture: degraded picture.
        target: clean picture.
    """

    name: str
    mixture: ImageFile
    target: ImageFile


class TestSet(NamedTuple):
    """Pairs with a mean of their own.

    Attributes:
        name: name in reports: that of the folder, followed by `#PART` for a part.
        layout: name of the layout.
        pairs: pairs, in natural order of their names.
    """

    name: str
    layout: str
    pairs: tuple[Pair, ...]


def find_test_sets(where: str | Path) -> tuple[TestSet, ...]:
    """Finds the sets at a place.

    Args:
        where: data set of any known layout, `ROOT#PART` for one of its parts, or a folder of data sets.

    Returns:
        One set for each part, of each data set.

    Raises:
        UserError: There is no data set, or none of its pictures has a target.
    """
    try:
        return _parts(where)
    except UserError as error:
        root = Path(where)
        folders = [path for path in list_folder(root) if path.is_dir()] if root.is_dir() else []
        found: list[TestSet] = []
        skipped: list[str] = []
        for folder in folders:
            try:
                found += _parts(folder)
            except UserError as reason:  # a folder of sets may contain other folders
                skipped.append(f"{folder} is left out: {reason}")
        if not found:
            raise error from None
        for line in skipped:
            _log.warning("%s", line)
        return tuple(found)


def _parts(where: str | Path) -> tuple[TestSet, ...]:
    dataset = find_set(where)
    root = dataset.root.name or dataset.root.resolve().name
    found = []
    for part, entries in dataset.parts.items():
        pairs = tuple(
            Pair(entry.name, entry.files["mixture"], entry.files["transmission"])
            for entry in entries
            if {"mixture", "transmission"} <= entry.files.keys()
        )
        if pairs:
            found.append(TestSet(f"{root}#{part}" if part else root, dataset.layout.name, pairs))
    if not found:
        raise UserError(
            f"{where}: {dataset.layout.title}, whose pictures have no target; give a set of degraded and clean pictures"
        )
    return tuple(found)
