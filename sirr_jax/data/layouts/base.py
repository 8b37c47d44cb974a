"""The interface of a folder layout: recognizing a folder and scanning it for the pictures of a data set."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sirr_jax.data.images.image_file import ImageFile
from sirr_jax.data.images.label_spaces import LabelSpace
from sirr_jax.data.layouts.folder_names import unwrap
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
    "not read",
    "nearly black",
    "palette",
]

# Findings that occur in published sets and that readers handle: notes, not mistakes.
_NOTES = frozenset({"odd file", "not read", "nearly black", "palette"})


@dataclass(frozen=True)
class Finding:
    """A problem or peculiarity of one file or folder.

    Attributes:
        kind: category of the finding.
        path: file or folder.
        text: description, without the path.
    """

    kind: FindingKind
    path: Path
    text: str

    @property
    def wrong(self) -> bool:
        """Whether the finding is a mistake that prevents using the set; otherwise it is a note."""
        return self.kind not in _NOTES


@dataclass(frozen=True)
class Entry:
    """The files of one picture.

    Attributes:
        name: name of the picture within the set, including folders: `12`, `train/12`, `postcard/Focus/1/3`.
        files: layer -> file. The layers are "mixture" (the degraded picture), "transmission" (the clean one),
            "reflection", "labels" (of the transmission), "reflection_labels", and "mask/<part>" for masks of face
            parts.
        sequence: name of the sequence that a frame belongs to; all its frames have the same size. Empty for single
            pictures.
    """

    name: str
    files: Mapping[str, ImageFile]
    sequence: str = ""


@dataclass(frozen=True)
class Part:
    """A split, or a part with scores of its own.

    Attributes:
        name: name of the part; empty if the set has no parts.
        entries: pictures of the part, in natural order of their names.
        expected: numbers of pictures in the published releases; empty if unknown.
    """

    name: str
    entries: tuple[Entry, ...]
    expected: tuple[int, ...] = ()


@dataclass(frozen=True)
class Scan:
    """The pictures of a folder, found by file names alone.

    Attributes:
        parts: parts of the set; a single unnamed part if it has none.
        findings: files without partners, duplicate names, odd files.
    """

    parts: tuple[Part, ...]
    findings: tuple[Finding, ...]

    def entries(self) -> Iterator[Entry]:
        """Yields all pictures, part by part."""
        for part in self.parts:
            yield from part.entries


@dataclass(frozen=True)
class Layout:
    """A known folder layout of a data set.

    Attributes:
        name: short name, such as `real20`.
        title: human-readable name of the set.
        tree: folder structure in one line, for messages.
        published: address at which the authors publish the set, for messages; empty for custom and unreleased sets.
        recognize: function that returns whether an existing folder has this layout, judged by file names alone.
        find: function that finds the pictures of a recognized folder; files that do not fit are findings, not errors.
        label_space: function that returns the label space of a file of a "labels" layer; None for sets without labels.
        labels_may_differ: whether labels or masks may differ in size from their picture.
        plain_labels: whether other programs read the labels of this layout as gray values. Palette files, whose indices
            this project reads, are then noted.
        trains_as: type of the training source that reads this layout; a check of the set includes its checks.
        unread: patterns of images that the layout leaves out on purpose (paths within the set in lower case, `*` spans
            folders), which a check does not name.
    """

    name: str
    title: str
    tree: str
    published: str
    recognize: Callable[[Path], bool]
    find: Callable[[Path], Scan]
    label_space: Callable[[ImageFile], LabelSpace] | None = None
    labels_may_differ: bool = False
    plain_labels: bool = False
    trains_as: Literal["", "pairs", "sequences"] = ""
    unread: tuple[str, ...] = ()

    def home(self, root: Path) -> Path:
        """Returns the folder of the set: `root`, or the one that it only wraps (`Real20/Real20`)."""
        return unwrap(root, self.recognize) or root

    def scan(self, root: Path) -> Scan:
        """Finds the pictures of a folder, or of the one that it only wraps; files that do not fit are findings."""
        return self.find(self.home(root))

    def entries(self, root: str | Path) -> list[Entry]:
        """Returns the pictures of all parts; see `parts`."""
        return [entry for entries in self.parts(root).values() for entry in entries]

    def parts(self, root: str | Path, *, skip: bool = False) -> dict[str, tuple[Entry, ...]]:
        """Finds the pictures of a folder and requires that every file has its partners.

        Args:
            root: folder that this layout recognizes.
            skip: whether to leave out files without partners, with a warning that counts them, instead of raising an
                error.

        Returns:
            Part name -> pictures, at least one in total. The name is empty if the set has no parts.

        Raises:
            UserError: A file lacks a partner, a name occurs twice, or there is no picture; the message names the first
                such file.
        """
        root = Path(root)
        scan = self.scan(root)
        mistakes = [finding for finding in scan.findings if finding.wrong]
        if mistakes:
            more = f" ({len(mistakes)} such files; `sirr data check {root}` lists them)" if len(mistakes) > 1 else ""
            message = f"{mistakes[0].path}: {mistakes[0].text}{more}"
            if not skip:
                raise UserError(message)
            _log.warning("skipped: %s", message)
        parts = {part.name: part.entries for part in scan.parts}
        if not any(parts.values()):
            source = f"; published at {self.published}" if self.published else ""
            raise UserError(f"{root}: contains no picture of {self.title}; expected {self.tree}{source}")
        return parts
