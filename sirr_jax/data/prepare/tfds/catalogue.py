"""The catalogue of TFDS data sets: their layers, and where a user's copy is searched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sirr_jax.data.images.reader import list_folder
from sirr_jax.data.layouts import (
    ceilnet,
    cityscapes_weather,
    deraindrop,
    label_sets,
    pair_folders,
    rsir2,
    sequence_folders,
    sgrrn,
    sir2_raw,
)
from sirr_jax.data.layouts.base import Entry, Layout
from sirr_jax.data.layouts.registry import ranked_layouts
from sirr_jax.errors import UserError

_PAIR = ("mixture", "transmission")
_LABELLED = ("transmission", "labels")
_PAIRS_OR_TRIPLETS = {"pairs": _PAIR, "triplets": (*_PAIR, "reflection")}


@dataclass(frozen=True)
class DatasetSpec:
    """One TFDS data set.

    Attributes:
        name: name in TFDS.
        layouts: layouts of copies of the set; the first names the folder.
        layers: config -> layers of its examples. The first config is the default; every copy of the set has its layers.
        split: split of a set without parts, unless the name of its folder ends in another split.
    """

    name: str
    layouts: tuple[Layout, ...]
    layers: Mapping[str, tuple[str, ...]]
    split: str

    @property
    def folder(self) -> str:
        """Folder inside the `manual_dir` of TFDS that is searched first."""
        return self.layouts[0].name

    @property
    def instructions(self) -> str:
        """Instructions for obtaining the set, in one line."""
        sources = list(dict.fromkeys(layout.published for layout in self.layouts if layout.published))
        layouts = list(dict.fromkeys(layout.tree for layout in self.layouts))
        published = f" (published at {' and '.join(sources)})" if sources else ""
        return (
            f"put {self.layouts[0].title}{published} into the folder {self.folder} of manual_dir, or use the set "
            f"itself as manual_dir; expected {', or '.join(layouts)}"
        )

    def find(self, manual_dir: str | Path) -> tuple[Layout, Path]:
        """Finds the set in `manual_dir/<folder>`, as `manual_dir` itself, or as the only such set inside it.

        Args:
            manual_dir: folder to search.

        Returns:
            Layout and root of the set.

        Raises:
            UserError: There is no such set (the message states where it is published), or there are several.
        """
        home = Path(manual_dir).expanduser()
        for root in (home / self.folder, home):
            layout = next((layout for layout in self.layouts if root.is_dir() and layout.recognize(root)), None)
            if layout is not None:
                return layout, root
        subfolders = [path for path in list_folder(home) if path.is_dir()] if home.is_dir() else []
        # A named set does not count as a generic layout: Real20 is not a custom set of pairs.
        firsts = {
            root: next((layout for layout in ranked_layouts() if layout.recognize(root)), None) for root in subfolders
        }
        candidates = [(layout, root) for root, layout in firsts.items() if layout in self.layouts and layout]
        if len(candidates) > 1:
            raise UserError(
                f"{self.name}: {home} contains several such sets: use one as manual_dir, such as {candidates[0][1]}"
            )
        if not candidates:
            raise UserError(f"{self.name}: no such set in {home}: {self.instructions}")
        return candidates[0]

    def splits(self, layout: Layout, root: Path) -> dict[str, tuple[Entry, ...]]:
        """Finds the pictures by split.

        Args:
            layout: recognized layout.
            root: folder of the set.

        Returns:
            Split -> pictures, at least one each. The splits are the parts of the layout; a set without parts has the
            split "train", "val" or "test" if its folder name ends with it (`nature_train`), otherwise `split`.

        Raises:
            UserError: A file lacks a partner, a name occurs twice, or there is no picture.
        """
        name = root.absolute().name.lower()
        default = next((split for split in ("train", "val", "test") if name.endswith(split)), self.split)
        return {part or default: entries for part, entries in layout.parts(root).items() if entries}


def _catalogue(*table: tuple[tuple[Layout, ...], Mapping[str, tuple[str, ...]], str]) -> dict[str, DatasetSpec]:
    specs = [DatasetSpec(f"sirr_{layouts[0].name}", layouts, layers, split) for layouts, layers, split in table]
    return {spec.name: spec for spec in specs}


# Sets without parts have the split "test" if they are only for evaluation, otherwise "train".
CATALOGUE = _catalogue(
    ((pair_folders.REAL20,), {"pairs": _PAIR}, "test"),
    ((pair_folders.REAL89,), {"pairs": _PAIR}, "train"),
    ((pair_folders.NATURE, pair_folders.IBCLN), {"pairs": _PAIR}, "test"),
    ((pair_folders.SIR2, sir2_raw.SIR2_RAW), _PAIRS_OR_TRIPLETS, "test"),
    ((ceilnet.CEILNET, pair_folders.TABLE2), {**_PAIRS_OR_TRIPLETS, "mixtures": ("mixture",)}, "test"),
    ((deraindrop.DERAINDROP,), {"pairs": _PAIR}, "train"),
    ((rsir2.RSIR2,), {"pairs": _PAIR}, "train"),
    ((sgrrn.SGRRN,), {"labelled": (*_PAIR, "reflection", "labels", "reflection_labels")}, "train"),
    ((label_sets.VOC,), {"labelled": _LABELLED}, "train"),
    ((label_sets.CITYSCAPES,), {"labelled": _LABELLED}, "train"),
    (
        (cityscapes_weather.FOGGY_CITYSCAPES,),
        {"pairs": _PAIR, "labelled": (*_PAIR, "labels"), "mixtures": ("mixture",)},
        "train",
    ),
    ((cityscapes_weather.RAIN_CITYSCAPES,), {"pairs": _PAIR, "labelled": (*_PAIR, "labels")}, "train"),
    ((label_sets.ADE20K,), {"labelled": _LABELLED}, "train"),
    ((label_sets.COCO_STUFF,), {"labelled": _LABELLED}, "train"),
    ((label_sets.CELEBAMASK_HQ,), {"labelled": _LABELLED}, "train"),
    ((label_sets.SEG,), {"labelled": _LABELLED}, "train"),
    ((pair_folders.PAIRS,), _PAIRS_OR_TRIPLETS, "train"),
    ((sequence_folders.SEQUENCES,), _PAIRS_OR_TRIPLETS, "train"),
)


def names() -> tuple[str, ...]:
    """Returns the names of the data sets in TFDS after `register`."""
    return tuple(CATALOGUE)


def dataset_spec(name: str) -> DatasetSpec:
    """Returns the specification of a data set.

    Args:
        name: name of the data set, one of `names()`.

    Raises:
        UserError: The name is unknown.
    """
    if name not in CATALOGUE:
        raise UserError(f"unknown TFDS data set {name!r}; known: {', '.join(CATALOGUE)}")
    return CATALOGUE[name]
