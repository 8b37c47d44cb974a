"""All known layouts, and the recognition of a folder."""

from __future__ import annotations

import re
from pathlib import Path

from sirr_jax.data.images.reader import list_folder
from sirr_jax.data.layouts.base import Entry, Layout
from sirr_jax.data.layouts.folder_names import levels
from sirr_jax.errors import UserError
from sirr_jax.registry import Registry

__all__ = ["LAYOUTS", "Entry", "Layout", "ranked_layouts", "recognize", "register"]

LAYOUTS: Registry[Layout] = Registry("layout", "data.layouts")
"""All layouts by name. The file of a layout registers it."""

_RANKS: dict[str, int] = {}


def register(layout: Layout, *, rank: int) -> None:
    """Registers a layout.

    Args:
        layout: layout.
        rank: number in the order in which layouts are tried; the first that recognizes a folder is chosen. From 100:
            named sets; from 200: generic layouts; from 300: layouts that search all subfolders.

    Raises:
        ValueError: Another layout has this name.
    """
    LAYOUTS.add(layout.name, layout)
    _RANKS[layout.name] = rank


def ranked_layouts() -> tuple[Layout, ...]:
    """Returns all layouts in the order in which they are tried."""
    return tuple(sorted(LAYOUTS.values(), key=lambda layout: (_RANKS[layout.name], layout.name)))


def recognize(root: str | Path, *, name: str | None = None) -> Layout:
    """Finds the layout of a folder.

    Args:
        root: folder of the data set.
        name: name of the layout; None to recognize it.

    Returns:
        The layout of that name, or the most specific layout that recognizes the folder.

    Raises:
        UserError: There is no layout of that name, or the folder cannot be read or has no known layout; the message
            lists the layouts and where the sets are published.
    """
    if name is not None:
        return LAYOUTS.find(name)
    root = Path(root)
    if not root.exists():
        raise UserError(f"{root}: no such folder{_source_of(root)}; check the path")
    subfolders = [path for path in list_folder(root) if path.is_dir()]
    layout = _first(root)
    if layout is not None:
        return layout
    sets = [path for path in subfolders if _first(path) is not None]
    if sets:
        raise UserError(
            f"{root} is not a data set, but contains some: use one of {', '.join(map(str, sets[:8]))}"
            f"{', ...' if len(sets) > 8 else ''}, or pass --as photos to use all images inside as photos"
        )
    sources: dict[str, list[str]] = {}
    for layout in ranked_layouts():
        source = f"{layout.name}: {layout.published}" if layout.published else layout.name
        sources.setdefault(layout.tree, []).append(source)
    known = "; ".join(f"{tree} ({', '.join(names)})" for tree, names in sources.items())
    raise UserError(
        f"{root}: no data set of a known layout; known layouts (with names and sources in parentheses): {known}"
    )


def _source_of(root: Path) -> str:
    """Returns where the set that the folder is named after is published; the longest matching name counts."""
    plain = re.sub(r"[^a-z0-9]", "", root.name.lower())
    for layout in sorted(LAYOUTS.values(), key=lambda layout: -len(layout.name)):
        if layout.published and layout.name.replace("_", "") in plain:
            return f"; {layout.title} is published at {layout.published}"
    return ""


def _first(root: Path) -> Layout | None:
    # The outermost folder that has a layout counts; only photos must lie in the folder itself.
    for folder in levels(root):
        for layout in ranked_layouts():
            if layout.recognize(folder) and (layout.name != "photos" or folder == root):
                return layout
    return None
