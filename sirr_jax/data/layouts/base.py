"""What a data-set layout is: a layout on disk that it recognizes, and the pictures that it finds in there."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sirr_jax.data.images.image_file import ImageFile
from sirr_jax.data.images.label_spaces import LabelSpace
from sirr_jax.errors import UserError

_log = logging.getLogger(__name__)

FindingKind = Literal[
    "unpaired",
    "doubled",
    "unreadable",
    "sizes",
    "too small",
    "labels",
    "count",
    "incomplete",
    "reader",
    "odd file",
    "nearly black",
    "palette",
]

# What published sets are known to hold and readers cope with: worth a look, no mistake.
_NOTES = frozenset({"odd file", "nearly black", "palette"})


@dataclass(frozen=True)
class Finding:
    """Something that was noticed about one file or folder.

    Attributes:
      kind: What sort of thing it is.
      path: The file or folder.
      text: What is the matter, without the name.
    """

    kind: FindingKind
    path: Path
    text: str

    @property
    def wrong(self) -> bool:
        """Whether the set cannot be used as it is; otherwise this is a note."""
        return self.kind not in _NOTES


@dataclass(frozen=True)
class Entry:
    """The files of one picture.

    Attributes:
      name: What the picture is called within the set, folders included: `12`, `train/12`, `postcard/Focus/1/3`.
      files: Layer to file. The layers are "mixture" (blended, rainy), "transmission" (clean, background),
        "reflection", "labels" (of the transmission), "reflection_labels", and "mask/<part>" for masks of parts.
      sequence: The sequence that a frame belongs to; all its frames have one size. Empty for single pictures.
    """

    name: str
    files: Mapping[str, ImageFile]
    sequence: str = ""


@dataclass(frozen=True)
class Part:
    """A split, or a part that has scores of its own.

    Attributes:
      name: Its name; empty where the set has no parts.
      entries: Its pictures, in natural order of their names.
      expected: How many pictures the published releases have; empty where that is not known.
    """

    name: str
    entries: tuple[Entry, ...]
    expected: tuple[int, ...] = ()


@dataclass(frozen=True)
class Scan:
    """What a layout found by file names alone.

    Attributes:
      parts: The set's parts; one without a name where it has none.
      findings: Files that have no partner, doubled names, odd files.
    """

    parts: tuple[Part, ...]
    findings: tuple[Finding, ...]

    def entries(self) -> Iterator[Entry]:
        """All pictures, part by part."""
        for part in self.parts:
            yield from part.entries


@dataclass(frozen=True)
class Layout:
    """One layout of files.

    Attributes:
      name: Short name: `real20`.
      title: What the set is, for people.
      tree: The folders in one line, for messages.
      published: Where its authors publish it, for messages; empty for sets of one's own and unreleased ones.
      recognize: Whether a folder has this layout, by the names in it alone; the folder exists.
      scan: Finds the pictures of a folder that it recognized; raises nothing for files that do not fit.
      label_space: The label space of a file of a "labels" layer; None for sets without labels.
      labels_may_differ: Whether labels or masks may have another size than their picture.
      plain_labels: Whether programs made for this layout read labels as gray values, so that palette files, whose
        indices this project reads, are worth a note.
      verify: What a thorough check looks at besides the pictures; None for nothing.
      trains_as: The source of training samples that reads this layout best; its checks are part of a set's check.
    """

    name: str
    title: str
    tree: str
    published: str
    recognize: Callable[[Path], bool]
    scan: Callable[[Path], Scan]
    label_space: Callable[[ImageFile], LabelSpace] | None = None
    labels_may_differ: bool = False
    plain_labels: bool = False
    verify: Callable[[Path], list[Finding]] | None = None
    trains_as: Literal["", "pairs", "sequences"] = ""

    def entries(self, root: str | Path) -> list[Entry]:
        """Finds the pictures of all parts; see `parts`."""
        return [entry for entries in self.parts(root).values() for entry in entries]

    def parts(self, root: str | Path, *, skip: bool = False) -> dict[str, tuple[Entry, ...]]:
        """Finds the pictures of a folder in which every file has its partners.

        Args:
          root: A folder that this layout recognizes.
          skip: Leave files without partners out, with a warning that counts them, in place of an error.

        Returns:
          Part to its pictures, of which there is at least one; the part's name is empty where the set has none.

        Raises:
          UserError: A file lacks a partner, a name occurs twice, or there is no picture; the message names the first.
        """
        root = Path(root)
        scan = self.scan(root)
        wrong = [finding for finding in scan.findings if finding.wrong]
        if wrong:
            more = f" ({len(wrong)} such files; `sirr data check {root}` lists them)" if len(wrong) > 1 else ""
            said = f"{wrong[0].path}: {wrong[0].text}{more}"
            if not skip:
                raise UserError(said)
            _log.warning("skipped: %s", said)
        parts = {part.name: part.entries for part in scan.parts}
        if not any(parts.values()):
            source = f"; published at {self.published}" if self.published else ""
            raise UserError(f"{root}: no picture of {self.title}; expected {self.tree}{source}")
        return parts
