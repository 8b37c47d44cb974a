"""Published data sets in the layouts that they come in, recognised by their folders."""

from __future__ import annotations

import re
from pathlib import Path

from sirr_jax.data.images.reader import list_folder
from sirr_jax.data.layouts.base import Adapter, Entry
from sirr_jax.data.layouts.ceilnet import CEILNET
from sirr_jax.data.layouts.cityscapes_weather import FOGGY_CITYSCAPES, RAIN_CITYSCAPES
from sirr_jax.data.layouts.deraindrop import DERAINDROP
from sirr_jax.data.layouts.label_sets import ADE20K, CELEBAMASK_HQ, CITYSCAPES, COCO_STUFF, SEG, VOC
from sirr_jax.data.layouts.pair_folders import IBCLN, NATURE, PAIRS, REAL20, REAL89, SIR2, TABLE2
from sirr_jax.data.layouts.photo_folder import PHOTOS
from sirr_jax.data.layouts.rsir2 import RSIR2
from sirr_jax.data.layouts.sequence_folders import SEQUENCES
from sirr_jax.data.layouts.sgrrn import SGRRN
from sirr_jax.data.layouts.sir2_raw import SIR2_RAW
from sirr_jax.data.storage.array_record.adapter import SHARDS
from sirr_jax.errors import UserError

__all__ = ["ADAPTERS", "Adapter", "Entry", "recognise"]

# Of two that recognise a folder the first is taken: named sets before bare layouts, and what looks through all the
# folders inside at the end.
ADAPTERS = (
    SHARDS,
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


def recognise(root: str | Path, *, name: str | None = None) -> Adapter:
    """Finds the adapter for a folder, by its layout.

    Args:
      root: The folder.
      name: The adapter's name; None to find it.

    Returns:
      The adapter of that name, or the most specific one that recognises the folder.

    Raises:
      UserError: There is no adapter of that name; the folder cannot be read, or has none of the layouts: the message
        lists them, and where the sets are published.
    """
    if name is not None:
        return _named(name)
    root = Path(root)
    if not root.exists():
        raise UserError(f"{root}: no such folder{_source_of(root)}; check the path")
    inside = [path for path in list_folder(root) if path.is_dir()]
    found = _first(root)
    if found is not None:
        return found
    sets = [path for path in inside if _first(path) is not None]
    if sets:
        raise UserError(
            f"{root} is no data set itself, but holds some: give one of {', '.join(map(str, sets[:8]))}"
            f"{', ...' if len(sets) > 8 else ''}, or say --as photos to take all images inside for photographs"
        )
    sources: dict[str, list[str]] = {}
    for adapter in ADAPTERS:
        source = f"{adapter.name}: {adapter.published}" if adapter.published else adapter.name
        sources.setdefault(adapter.layout, []).append(source)
    looked_for = "; ".join(f"{layout} ({', '.join(names)})" for layout, names in sources.items())
    raise UserError(
        f"{root}: no data set of a known layout; looked for (in brackets where it is published) {looked_for}"
    )


def _source_of(root: Path) -> str:
    """Where a set that the folder is named after is published: the longest name that fits."""
    plain = re.sub(r"[^a-z0-9]", "", root.name.lower())
    for adapter in sorted(ADAPTERS, key=lambda adapter: -len(adapter.name)):
        if adapter.published and adapter.name.replace("_", "") in plain:
            return f"; {adapter.title} is published at {adapter.published}"
    return ""


def _first(root: Path) -> Adapter | None:
    return next((adapter for adapter in ADAPTERS if adapter.recognise(root)), None)


def _named(name: str) -> Adapter:
    for adapter in ADAPTERS:
        if adapter.name == name:
            return adapter
    raise UserError(f"no layout is called {name!r}; known layouts: {', '.join(adapter.name for adapter in ADAPTERS)}")
