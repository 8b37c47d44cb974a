"""Which data sets become TensorFlow Datasets, with which layers, and where a user's copy is looked for."""

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
from sirr_jax.data.layouts.registry import LAYOUTS
from sirr_jax.errors import UserError

_PAIR = ("mixture", "transmission")
_LABELLED = ("transmission", "labels")
_PAIRS_OR_TRIPLETS = {"pairs": _PAIR, "triplets": (*_PAIR, "reflection")}


@dataclass(frozen=True)
class DatasetSpec:
    """One TFDS data set.

    Attributes:
      name: Its name in TFDS.
      layouts: The layouts that it is read from; the first gives the folder its name.
      layers: Config to the layers that an example of it has. The first is the default, and what every such set has.
      split: The split of a set without parts, unless the end of its folder's name says another.
    """

    name: str
    layouts: tuple[Layout, ...]
    layers: Mapping[str, tuple[str, ...]]
    split: str

    @property
    def folder(self) -> str:
        """The folder inside TFDS's `manual_dir` in which the set is looked for first."""
        return self.layouts[0].name

    @property
    def instructions(self) -> str:
        """What to get, where from, and where to put it, in one line."""
        sources = list(dict.fromkeys(layout.published for layout in self.layouts if layout.published))
        layouts = list(dict.fromkeys(layout.tree for layout in self.layouts))
        published = f" (published at {' and '.join(sources)})" if sources else ""
        return (
            f"put {self.layouts[0].title}{published} into the folder {self.folder} of manual_dir, or give the set "
            f"itself as manual_dir; expected {', or '.join(layouts)}"
        )

    def find(self, manual_dir: str | Path) -> tuple[Layout, Path]:
        """Finds the set: in `manual_dir/<folder>`, as `manual_dir` itself, or as the one such set inside it.

        Args:
          manual_dir: Where to look.

        Returns:
          The layout that reads it, and its root.

        Raises:
          UserError: There is no such set, with where its authors publish it, or there are several.
        """
        home = Path(manual_dir).expanduser()
        for root in (home / self.folder, home):
            layout = next((layout for layout in self.layouts if root.is_dir() and layout.recognize(root)), None)
            if layout is not None:
                return layout, root
        inside = [path for path in list_folder(home) if path.is_dir()] if home.is_dir() else []
        # A set with a name of its own is no set of any layout: Real20 is not taken for somebody's pairs.
        firsts = {root: next((layout for layout in LAYOUTS if layout.recognize(root)), None) for root in inside}
        found = [(layout, root) for root, layout in firsts.items() if layout in self.layouts and layout]
        if len(found) > 1:
            raise UserError(f"{self.name}: {home} holds several: give one as manual_dir, such as {found[0][1]}")
        if not found:
            raise UserError(f"{self.name}: no such set in {home}: {self.instructions}")
        return found[0]

    def splits(self, layout: Layout, root: Path) -> dict[str, tuple[Entry, ...]]:
        """Finds the pictures by split.

        Args:
          layout: What the set was recognized as.
          root: Its folder.

        Returns:
          Split to its pictures, one or more each: the layout's parts. Of a set without parts, "train", "val" or
          "test" if its folder's name ends so (`nature_train`), and otherwise the split that the spec names.

        Raises:
          UserError: A file lacks a partner, a name occurs twice, or there is no picture.
        """
        name = root.absolute().name.lower()
        only = next((split for split in ("train", "val", "test") if name.endswith(split)), self.split)
        return {part or only: entries for part, entries in layout.parts(root).items() if entries}


def _offers(*table: tuple[tuple[Layout, ...], Mapping[str, tuple[str, ...]], str]) -> dict[str, DatasetSpec]:
    found = [DatasetSpec(f"sirr_{layouts[0].name}", layouts, layers, split) for layouts, layers, split in table]
    return {spec.name: spec for spec in found}


# Sets that are for scores alone are "test" where they have no parts; all others "train".
CATALOGUE = _offers(
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
    """Names of the data sets, as TFDS knows them after `register`."""
    return tuple(CATALOGUE)


def dataset_spec(name: str) -> DatasetSpec:
    """Finds an spec.

    Raises:
      UserError: There is none of that name.
    """
    if name not in CATALOGUE:
        raise UserError(f"no TFDS data set {name!r} here; there are {', '.join(CATALOGUE)}")
    return CATALOGUE[name]
