"""Looks at every file of a data set and reports what would spoil training or scores."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from sirr_jax.data.images.decode import UnreadableImageError, image_size, read_image
from sirr_jax.data.images.image_file import ImageFile, place_of
from sirr_jax.data.images.label_maps import read_labels, uses_palette
from sirr_jax.data.images.label_spaces import LabelSpace
from sirr_jax.data.images.quality import is_nearly_black
from sirr_jax.data.images.reader import check_large_enough
from sirr_jax.data.layouts.base import Entry, Finding, FindingKind, Layout, Part
from sirr_jax.data.layouts.registry import recognize
from sirr_jax.data.sources.pairs import FolderPairs
from sirr_jax.data.sources.sequences import FolderSequences
from sirr_jax.errors import UserError

_SOURCES: dict[str, Callable[[Path], object]] = {"pairs": FolderPairs, "sequences": FolderSequences}

_LABEL_LAYERS = ("labels", "reflection_labels")


@dataclass(frozen=True)
class Report:
    """What a check found.

    Attributes:
      root: The folder.
      layout: What it was recognized as.
      parts: The set's parts with their pictures.
      sizes: (height, width) in pixels, as a viewer shows the picture, to the number of pictures of that size. A
        picture's size is that of its first layer.
      findings: What was noticed, mistakes and notes, by file.
      thorough: Whether every file was decoded; otherwise the headers alone were read, and `nearly black`, damage
        beyond the header and label values were not looked for.
    """

    root: Path
    layout: Layout
    parts: tuple[Part, ...]
    sizes: Counter[tuple[int, int]]
    findings: tuple[Finding, ...]
    thorough: bool

    @property
    def count(self) -> int:
        """Number of complete pictures."""
        return sum(len(part.entries) for part in self.parts)

    @property
    def mistakes(self) -> tuple[Finding, ...]:
        """Findings to mend before the set is used."""
        return tuple(finding for finding in self.findings if finding.wrong)

    @property
    def notes(self) -> tuple[Finding, ...]:
        """Findings that are worth a look and may be as they should."""
        return tuple(finding for finding in self.findings if not finding.wrong)

    def of(self, kind: FindingKind) -> tuple[Finding, ...]:
        """The findings of one kind."""
        return tuple(finding for finding in self.findings if finding.kind == kind)


@dataclass(frozen=True)
class _Look:
    """What one file shows."""

    size: tuple[int, int] | None
    findings: tuple[Finding, ...] = ()


def check(root: str | Path, *, layout: str | None = None, thorough: bool = False, crop: int | None = None) -> Report:
    """Checks a data set: names, counts, headers, and on request every pixel.

    Args:
      root: The set's folder; `sirr_jax.data.layouts.registry.recognize` says what it is.
      layout: Name of its layout; None to recognize it.
      thorough: Whether to decode every file, not only its header.
      crop: Shortest side that pictures must have, in pixels; None for any.

    Returns:
      The report. Files that do not fit are findings in it.

    Raises:
      UserError: The folder cannot be read or has no known layout, or the crop is not positive.
    """
    if crop is not None and crop < 1:
        raise UserError(f"a crop of {crop} pixels; give 1 or more")
    root = Path(root)
    layout = recognize(root, name=layout)
    scan = layout.scan(root)
    findings = [*scan.findings, *_counts(root, scan.parts)]

    jobs: dict[ImageFile, Callable[[ImageFile], _Look]] = {}
    for entry in scan.entries():
        for layer, path in entry.files.items():
            if layout.label_space is not None and layer in _LABEL_LAYERS:
                space = layout.label_space(path)
                jobs[path] = partial(_look_at_labels, space=space, plain=layout.plain_labels, thorough=thorough)
            else:
                jobs[path] = partial(_look_at_picture, thorough=thorough, dark=not layer.startswith("mask/"))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        looks = dict(zip(jobs, pool.map(lambda path: jobs[path](path), jobs), strict=True))
    findings += [finding for look in looks.values() for finding in look.findings]

    sizes = {path: look.size for path, look in looks.items() if look.size is not None}
    findings += _different_sizes(scan.entries(), sizes, labels_may_differ=layout.labels_may_differ)
    if crop is not None:
        # Masks that are smaller than their photograph are enlarged with it.
        masks = {path for entry in scan.entries() for layer, path in entry.files.items() if layer.startswith("mask/")}
        findings += _too_small({path: size for path, size in sizes.items() if path not in masks}, crop)
    firsts = (next(iter(entry.files.values())) for entry in scan.entries())
    histogram = Counter(sizes[path] for path in firsts if path in sizes)
    if thorough and layout.verify is not None:
        findings += layout.verify(root)
    if layout.trains_as and not any(finding.wrong for finding in findings):
        findings += _open(_SOURCES[layout.trains_as], root)
    return Report(root, layout, scan.parts, histogram, tuple(findings), thorough)


def _counts(root: Path, parts: Sequence[Part]) -> list[Finding]:
    findings = []
    if not any(part.entries for part in parts):
        findings.append(Finding("count", root, "not one complete picture"))
    for part in parts:
        if part.expected and len(part.entries) not in part.expected:
            published = " or ".join(map(str, part.expected))
            where = f"{part.name}: " if part.name else ""
            pictures = f"{len(part.entries)} complete picture{'s' * (len(part.entries) != 1)}"
            text = f"{where}{pictures} where the published set has {published}"
            findings.append(Finding("count", root, text))
    return findings


def _look_at_picture(file: ImageFile, *, thorough: bool, dark: bool) -> _Look:
    try:
        size = image_size(file)
    except UnreadableImageError as error:
        return _Look(None, (_finding("unreadable", file, error),))
    if not thorough:
        return _Look(size)
    try:
        image = read_image(file)
    except UnreadableImageError as error:
        return _Look(size, (_finding("unreadable", file, error),))
    if dark and is_nearly_black(image):
        return _Look(size, (Finding("nearly black", place_of(file), "nearly black all over"),))
    return _Look(size)


def _look_at_labels(file: ImageFile, *, space: LabelSpace, plain: bool, thorough: bool) -> _Look:
    size = None
    try:
        size = image_size(file)
        palette = uses_palette(file)
        if thorough:
            read_labels(file, space.classes, ignore=space.ignore)
    except UnreadableImageError as error:
        return _Look(size, (_finding("unreadable", file, error),))
    except UserError as error:
        return _Look(size, (_finding("labels", file, error),))
    if palette and plain:
        text = "has a palette: read here by its indices, but by its colors in programs that expect gray values"
        return _Look(size, (Finding("palette", place_of(file), text),))
    return _Look(size)


def _different_sizes(
    entries: Iterable[Entry], sizes: dict[ImageFile, tuple[int, int]], *, labels_may_differ: bool
) -> list[Finding]:
    findings = []
    first_frames: dict[str, ImageFile] = {}
    for entry in entries:
        firsts: dict[bool, ImageFile] = {}
        for layer, path in entry.files.items():
            if path not in sizes:
                continue
            apart = labels_may_differ and (layer in _LABEL_LAYERS or layer.startswith("mask/"))
            first = firsts.setdefault(apart, path)
            if entry.sequence and first == path:
                first = first_frames.setdefault(entry.sequence, path)
            if sizes[path] != sizes[first]:
                other = place_of(first)
                text = f"is {_said(sizes[path])} pixels (width x height) and {other.parent.name}/{other.name} "
                findings.append(
                    Finding("sizes", place_of(path), f"{text}{_said(sizes[first])}: both must have one size")
                )
    return findings


def _too_small(sizes: dict[ImageFile, tuple[int, int]], crop: int) -> list[Finding]:
    findings = []
    for path, size in sizes.items():
        try:
            check_large_enough("it", size, crop)
        except UserError as error:
            findings.append(Finding("too small", place_of(path), str(error)))
    return findings


def _open(source: Callable[[Path], object], root: Path) -> list[Finding]:
    """Opens the set as training does, which finds what only a source knows: frames that are copies of each other."""
    try:
        source(root)
    except UserError as error:
        return [_finding("reader", root, error)]
    return []


def _finding(kind: FindingKind, file: ImageFile, error: UserError) -> Finding:
    """A finding with the error's text, less the name that it begins with."""
    name = " ".join(str(file).split())
    return Finding(kind, place_of(file), str(error).removeprefix(f"{name}: "))


def _said(size: tuple[int, int]) -> str:
    return f"{size[1]}x{size[0]}"
