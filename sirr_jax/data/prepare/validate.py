"""Checks every file of a data set for problems that affect training or scores."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from sirr_jax.data.images.decode import UnreadableImageError, image_size, read_image
from sirr_jax.data.images.image_file import ImageFile, path_of
from sirr_jax.data.images.label_maps import read_labels, uses_palette
from sirr_jax.data.images.label_spaces import LabelSpace
from sirr_jax.data.images.quality import is_nearly_black
from sirr_jax.data.images.reader import check_large_enough
from sirr_jax.data.layouts.base import Entry, Finding, FindingKind, Layout, Part
from sirr_jax.data.layouts.leftovers import leftovers
from sirr_jax.data.layouts.registry import recognize
from sirr_jax.data.sources.pairs import FolderPairs
from sirr_jax.data.sources.sequences import FolderSequences
from sirr_jax.data.storage.tfds.place import resolve
from sirr_jax.errors import UserError

_SOURCES: dict[str, Callable[[Path], object]] = {"pairs": FolderPairs, "sequences": FolderSequences}

_LABEL_LAYERS = ("labels", "reflection_labels")


@dataclass(frozen=True)
class Report:
    """The result of a check.

    Attributes:
        root: folder of the set.
        layout: recognized layout.
        parts: parts of the set with their pictures.
        sizes: (height, width) in pixels, with the orientation applied -> number of pictures whose first layer has that
            size.
        findings: mistakes and notes.
        thorough: whether every file was decoded. Otherwise only headers were read, and nearly black images, damage
            after the header and label values were not checked.
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
        """Findings that must be fixed before the set is used."""
        return tuple(finding for finding in self.findings if finding.wrong)

    @property
    def notes(self) -> tuple[Finding, ...]:
        """Findings that may be intended."""
        return tuple(finding for finding in self.findings if not finding.wrong)

    def of(self, kind: FindingKind) -> tuple[Finding, ...]:
        """Returns the findings of one kind."""
        return tuple(finding for finding in self.findings if finding.kind == kind)


@dataclass(frozen=True)
class _FileCheck:
    """The size of one file and its findings."""

    size: tuple[int, int] | None
    findings: tuple[Finding, ...] = ()


def check(root: str | Path, *, layout: str | None = None, thorough: bool = False, crop: int | None = None) -> Report:
    """Checks a data set: names, counts, headers, and optionally every pixel.

    Args:
        root: folder of the set, recognized by `sirr_jax.data.layouts.registry.recognize`, or `tfds:NAME`.
        layout: name of the layout; None to recognize it.
        thorough: whether to decode every file instead of its header only.
        crop: minimum short side of the pictures in pixels; None for any.

    Returns:
        The report; problems with files are findings, not errors.

    Raises:
        UserError: The folder cannot be read or has no known layout, or the crop is not positive.
    """
    if crop is not None and crop < 1:
        raise UserError(f"a crop of {crop} pixels: expected 1 or more")
    root = Path(resolve(root))
    found_layout = recognize(root, name=layout)
    scan = found_layout.scan(root)
    findings = [*scan.findings, *_counts(root, scan.parts), *leftovers(root, found_layout, scan)]

    jobs: dict[ImageFile, Callable[[ImageFile], _FileCheck]] = {}
    for entry in scan.entries():
        for layer, path in entry.files.items():
            if found_layout.label_space is not None and layer in _LABEL_LAYERS:
                space = found_layout.label_space(path)
                jobs[path] = partial(_check_labels, space=space, plain=found_layout.plain_labels, thorough=thorough)
            else:
                jobs[path] = partial(_check_picture, thorough=thorough, dark=not layer.startswith("mask/"))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        checks = dict(zip(jobs, pool.map(lambda path: jobs[path](path), jobs), strict=True))
    findings += [finding for file_check in checks.values() for finding in file_check.findings]

    sizes = {path: file_check.size for path, file_check in checks.items() if file_check.size is not None}
    findings += _different_sizes(scan.entries(), sizes, labels_may_differ=found_layout.labels_may_differ)
    if crop is not None:
        # Masks may be smaller than their photo: they are upscaled to its size.
        masks = {path for entry in scan.entries() for layer, path in entry.files.items() if layer.startswith("mask/")}
        findings += _too_small({path: size for path, size in sizes.items() if path not in masks}, crop)
    firsts = (next(iter(entry.files.values())) for entry in scan.entries())
    histogram = Counter(sizes[path] for path in firsts if path in sizes)
    if found_layout.trains_as and not any(finding.wrong for finding in findings):
        findings += _open_source(_SOURCES[found_layout.trains_as], root)
    return Report(root, found_layout, scan.parts, histogram, tuple(findings), thorough)


def _counts(root: Path, parts: Sequence[Part]) -> list[Finding]:
    findings = []
    if not any(part.entries for part in parts):
        findings.append(Finding("count", root, "no complete picture"))
    for part in parts:
        if part.expected and len(part.entries) not in part.expected:
            published = " or ".join(map(str, part.expected))
            where = f"{part.name}: " if part.name else ""
            pictures = f"{len(part.entries)} complete picture{'s' * (len(part.entries) != 1)}"
            text = f"{where}{pictures}, but the published set has {published}"
            findings.append(Finding("count", root, text))
    return findings


def _check_picture(file: ImageFile, *, thorough: bool, dark: bool) -> _FileCheck:
    try:
        size = image_size(file)
    except UnreadableImageError as error:
        return _FileCheck(None, (_finding("unreadable", file, error),))
    if not thorough:
        return _FileCheck(size)
    try:
        image = read_image(file)
    except UnreadableImageError as error:
        return _FileCheck(size, (_finding("unreadable", file, error),))
    if dark and is_nearly_black(image):
        return _FileCheck(size, (Finding("nearly black", path_of(file), "nearly black"),))
    return _FileCheck(size)


def _check_labels(file: ImageFile, *, space: LabelSpace, plain: bool, thorough: bool) -> _FileCheck:
    size = None
    try:
        size = image_size(file)
        palette = uses_palette(file)
        if thorough:
            read_labels(file, space.classes, ignore=space.ignore)
    except UnreadableImageError as error:
        return _FileCheck(size, (_finding("unreadable", file, error),))
    except UserError as error:
        return _FileCheck(size, (_finding("labels", file, error),))
    if palette and plain:
        text = "has a palette: sirr_jax reads its indices, but programs that expect gray values read its colors"
        return _FileCheck(size, (Finding("palette", path_of(file), text),))
    return _FileCheck(size)


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
            separate = labels_may_differ and (layer in _LABEL_LAYERS or layer.startswith("mask/"))
            first = firsts.setdefault(separate, path)
            if entry.sequence and first == path:
                first = first_frames.setdefault(entry.sequence, path)
            if sizes[path] != sizes[first]:
                other = path_of(first)
                text = (
                    f"is {_format_size(sizes[path])} pixels (width x height) and {other.parent.name}/{other.name} "
                    f"{_format_size(sizes[first])}: both must have the same size"
                )
                findings.append(Finding("sizes", path_of(path), text))
    return findings


def _too_small(sizes: dict[ImageFile, tuple[int, int]], crop: int) -> list[Finding]:
    findings = []
    for path, size in sizes.items():
        try:
            check_large_enough("it", size, crop)
        except UserError as error:
            findings.append(Finding("too small", path_of(path), str(error)))
    return findings


def _open_source(source: Callable[[Path], object], root: Path) -> list[Finding]:
    """Opens the set as training does, for the checks that only a source does, such as copied frames."""
    try:
        source(root)
    except UserError as error:
        return [_finding("reader", root, error)]
    return []


def _finding(kind: FindingKind, file: ImageFile, error: UserError) -> Finding:
    """Makes a finding from the text of an error, without the leading file name."""
    name = " ".join(str(file).split())
    return Finding(kind, path_of(file), str(error).removeprefix(f"{name}: "))


def _format_size(size: tuple[int, int]) -> str:
    return f"{size[1]}x{size[0]}"
