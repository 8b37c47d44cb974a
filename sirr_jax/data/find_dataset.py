"""Finds any data set, in folders or as a TFDS set: `ROOT` or `tfds:NAME`, and `...#PART` for one of its parts."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from sirr_jax.data.layouts.base import Entry, Layout
from sirr_jax.data.layouts.registry import recognize
from sirr_jax.data.storage.tfds.layout import is_stored
from sirr_jax.data.storage.tfds.place import prepared_folder, resolve
from sirr_jax.errors import UserError


class FoundSet(NamedTuple):
    """A data set that was found.

    Attributes:
        layout: recognized layout.
        root: folder of the set.
        parts: part name -> pictures, at least one in total. The name is empty if the set has no parts.
    """

    layout: Layout
    root: Path
    parts: dict[str, tuple[Entry, ...]]

    def only_part(self) -> tuple[Entry, ...]:
        """Returns the pictures of the only part.

        Raises:
            UserError: The set has several parts.
        """
        if len(self.parts) > 1:
            names = ", ".join(self.parts)
            raise UserError(f"{self.root} has the parts {names}; select one: {self.root}#{next(iter(self.parts))}")
        (entries,) = self.parts.values()
        return entries


def find_set(where: str | Path, *, layout: str | None = None, skip: bool = False) -> FoundSet:
    """Finds a data set and its pictures.

    Args:
        where: `ROOT`, or `tfds:NAME[/CONFIG][:VERSION]`; with `#PART` for one of its parts.
        layout: name of the layout; None to recognize it.
        skip: whether to leave out files without partners, with a warning that counts them, instead of raising an error.

    Returns:
        The set; only the selected part if `where` names one.

    Raises:
        UserError: The folder cannot be read, has no known layout, contains files without partners, or has no such part.
    """
    root, part = _divide(where)
    found_layout = recognize(root, name=layout)
    parts = found_layout.parts(root, skip=skip)
    if part:
        if part not in parts:
            known = ", ".join(name for name in parts if name) or "no parts"
            raise UserError(f"{root} has no part {part!r}; it has {known}")
        parts = {part: parts[part]}
    return FoundSet(found_layout, Path(root), parts)


def is_tfds(where: str | Path) -> bool:
    """Returns whether a place, `ROOT` or `tfds:NAME` with or without `#PART`, is a TFDS set.

    Raises:
        UserError: There is no TFDS set of that name.
    """
    return is_stored(Path(_divide(where)[0]))


def _divide(where: str | Path) -> tuple[str, str]:
    """Returns the path of a set and the name of its part, which may be empty."""
    place = resolve(where)
    root, _, part = str(place).partition("#") if not Path(place).exists() else (str(place), "", "")
    return str(prepared_folder(Path(root)) or root), part
