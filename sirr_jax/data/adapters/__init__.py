"""Published data sets in the layouts that they come in, recognised by their folders."""

from __future__ import annotations

from pathlib import Path

from sirr_jax.data.adapters.ceilnet import CEILNET
from sirr_jax.data.adapters.contract import Adapter, Entry
from sirr_jax.data.adapters.deraindrop import DERAINDROP
from sirr_jax.data.adapters.label_sets import ADE20K, CELEBAMASK_HQ, CITYSCAPES, SEG, VOC
from sirr_jax.data.adapters.pairs import IBCLN, NATURE, PAIRS, REAL20, REAL89, SIR2, TABLE2
from sirr_jax.data.adapters.rsir2 import RSIR2
from sirr_jax.data.adapters.sequences import SEQUENCES
from sirr_jax.data.adapters.sgrrn import SGRRN
from sirr_jax.data.adapters.sir2_raw import SIR2_RAW
from sirr_jax.data.files import list_folder
from sirr_jax.errors import UserError

__all__ = ["ADAPTERS", "Adapter", "Entry", "recognise"]

# Of two that recognise a folder the first is taken: named sets before bare layouts, and what looks through all the
# folders inside at the end.
ADAPTERS = (
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
    CITYSCAPES,
    ADE20K,
    CELEBAMASK_HQ,
    SEG,
    PAIRS,
    SEQUENCES,
    CEILNET,
    SIR2_RAW,
)


def recognise(root: str | Path) -> Adapter:
    """Finds the adapter for a folder, by its layout.

    Args:
      root: The folder.

    Returns:
      The most specific adapter that recognises it.

    Raises:
      UserError: The folder cannot be read, or has none of the layouts; the message lists them, and where the sets
        are published.
    """
    root = Path(root)
    inside = [path for path in list_folder(root) if path.is_dir()]
    found = _first(root)
    if found is not None:
        return found
    sets = [path for path in inside if _first(path) is not None]
    if sets:
        raise UserError(
            f"{root} is no data set itself, but holds some: give one of {', '.join(map(str, sets[:8]))}"
            f"{', ...' if len(sets) > 8 else ''}"
        )
    sources: dict[str, list[str]] = {}
    for adapter in ADAPTERS:
        source = f"{adapter.name}: {adapter.published}" if adapter.published else adapter.name
        sources.setdefault(adapter.layout, []).append(source)
    looked_for = "; ".join(f"{layout} ({', '.join(names)})" for layout, names in sources.items())
    raise UserError(
        f"{root}: no data set of a known layout; looked for (in brackets where it is published) {looked_for}"
    )


def _first(root: Path) -> Adapter | None:
    return next((adapter for adapter in ADAPTERS if adapter.recognise(root)), None)
