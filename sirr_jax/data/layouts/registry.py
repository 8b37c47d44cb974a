"""All known layouts, and the recognition of a folder."""

from __future__ import annotations

import re
from pathlib import Path

from sirr_jax.data.images.reader import list_folder
from sirr_jax.data.layouts.base import Entry, Layout
from sirr_jax.data.layouts.ceilnet import CEILNET
from sirr_jax.data.layouts.cityscapes_weather import FOGGY_CITYSCAPES, RAIN_CITYSCAPES
from sirr_jax.data.layouts.deraindrop import DERAINDROP
from sirr_jax.data.layouts.folder_names import levels
from sirr_jax.data.layouts.label_sets import ADE20K, CELEBAMASK_HQ, CITYSCAPES, COCO_STUFF, SEG, VOC
from sirr_jax.data.layouts.pair_folders import IBCLN, NATURE, PAIRS, REAL20, REAL89, SIR2, TABLE2
from sirr_jax.data.layouts.photo_folder import PHOTOS
from sirr_jax.data.layouts.rsir2 import RSIR2
from sirr_jax.data.layouts.sequence_folders import SEQUENCES
from sirr_jax.data.layouts.sgrrn import SGRRN
from sirr_jax.data.layouts.sir2_raw import SIR2_RAW
from sirr_jax.data.storage.tfds.layout import TFDS
from sirr_jax.errors import UserError

__all__ = ["LAYOUTS", "Entry", "Layout", "recognize"]

# The first layout that recognizes a folder is chosen: named sets come before generic layouts, and layouts that search
# all subfolders come last.
LAYOUTS = (
    TFDS,
    REAL20,
    REAL89,
    NATURE,
    IBCLN,
    TABLE2,
    SIR2,
    SGRRN,
    DERAINDROP,
    RSIR2,
    VOC,
    FOGGY_CITYSCAPES,
    RAIN_CITYSCAPES,
    CITYSCAPES,
    ADE20K,
    COCO_STUFF,
    CELEBAMASK_HQ,
    SEG,
    PAIRS,
    SEQUENCES,
    CEILNET,
    SIR2_RAW,
    PHOTOS,
)


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
        return _named(name)
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
    for layout in LAYOUTS:
        source = f"{layout.name}: {layout.published}" if layout.published else layout.name
        sources.setdefault(layout.tree, []).append(source)
    known = "; ".join(f"{tree} ({', '.join(names)})" for tree, names in sources.items())
    raise UserError(
        f"{root}: no data set of a known layout; known layouts (with names and sources in parentheses): {known}"
    )


def _source_of(root: Path) -> str:
    """Returns where the set that the folder is named after is published; the longest matching name counts."""
    plain = re.sub(r"[^a-z0-9]", "", root.name.lower())
    for layout in sorted(LAYOUTS, key=lambda layout: -len(layout.name)):
        if layout.published and layout.name.replace("_", "") in plain:
            return f"; {layout.title} is published at {layout.published}"
    return ""


def _first(root: Path) -> Layout | None:
    # The outermost folder that has a layout counts; only photos must lie in the folder itself.
    for folder in levels(root):
        for layout in LAYOUTS:
            if layout.recognize(folder) and (layout is not PHOTOS or folder == root):
                return layout
    return None


def _named(name: str) -> Layout:
    for layout in LAYOUTS:
        if layout.name == name:
            return layout
    raise UserError(f"unknown layout {name!r}; known layouts: {', '.join(layout.name for layout in LAYOUTS)}")
