"""Any data set, in folders or packed, by its place: `ROOT`, or `ROOT#PART` for one of its parts."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from sirr_jax.data.layouts.base import Entry, Layout
from sirr_jax.data.layouts.registry import recognize
from sirr_jax.errors import UserError


class FoundSet(NamedTuple):
    """A data set that was found.

    Attributes:
      layout: What it was recognized as.
      root: Its folder.
      parts: Part to its pictures, at least one in all; the part's name is empty where the set has none.
    """

    layout: Layout
    root: Path
    parts: dict[str, tuple[Entry, ...]]

    def only_part(self) -> tuple[Entry, ...]:
        """The pictures of a set from which one part was chosen, or that has no parts.

        Raises:
          UserError: There are several parts.
        """
        if len(self.parts) > 1:
            names = ", ".join(self.parts)
            raise UserError(f"{self.root} has the parts {names}; choose one: {self.root}#{next(iter(self.parts))}")
        (entries,) = self.parts.values()
        return entries


def find_set(where: str | Path, *, layout: str | None = None, skip: bool = False) -> FoundSet:
    """Finds a data set by its layout, or by its manifest if it is packed.

    Args:
      where: `ROOT` or `ROOT#PART`.
      layout: Name of the layout; None to recognize it.
      skip: Leave files without partners out, with a warning that counts them.

    Returns:
      The set, with that part alone if one was named.

    Raises:
      UserError: The folder cannot be read, has no known layout, holds files without partners, or has no such part.
    """
    root, _, part = str(where).partition("#") if not Path(where).exists() else (str(where), "", "")
    found = recognize(root, name=layout)
    parts = found.parts(root, skip=skip)
    if part:
        if part not in parts:
            known = ", ".join(name for name in parts if name) or "no parts"
            raise UserError(f"{root} has no part {part!r}; it has {known}")
        parts = {part: parts[part]}
    return FoundSet(found, Path(root), parts)
