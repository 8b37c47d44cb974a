"""Matching of files that belong to the same picture, by name and never by position in a listing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from sirr_jax.data.images.reader import IMAGE_EXTENSIONS, list_folder, natural_order
from sirr_jax.data.layouts.base import Entry, Finding
from sirr_jax.data.layouts.folder_names import subfolder


def stem(path: Path) -> str:
    """Returns the file name without its extension."""
    return path.stem


def number_before_underscore(path: Path) -> str | None:
    """Returns the number before the first `_` without leading zeros (`12` for `012_rain.png`), or None."""
    return number_first(path) if "_" in path.stem else None


def number_first(path: Path) -> str | None:
    """Returns the number before the first `_`, or the number that is the whole stem, without leading zeros, or None."""
    number = path.stem.partition("_")[0]
    # `isdigit` is also true for digits that `int` rejects.
    return str(int(number)) if number.isascii() and number.isdigit() else None


def has_folders(root: Path, *names: str) -> bool:
    """Returns whether a folder contains subfolders of all these names, in any spelling."""
    return all(subfolder(root, name).is_dir() for name in names)


def has_a_folder(root: Path, *names: str) -> bool:
    """Returns whether a folder contains a subfolder of one of these names, in any spelling."""
    return any(subfolder(root, name).is_dir() for name in names)


def index_files(
    folder: Path, findings: list[Finding], *, name_of: Callable[[Path], str | None] = stem
) -> dict[str, Path]:
    """Lists the image files of one folder by the name of their picture.

    Args:
        folder: folder to list.
        findings: list to which duplicate names, files without an image extension or a picture name, and files with a
            rare extension are appended.
        name_of: function that returns the picture name of a file, or None.

    Returns:
        Name -> file; for a duplicate name, the first file by file name.
    """
    files: dict[str, Path] = {}
    for path in list_folder(folder):
        if path.is_dir():
            continue
        if path.suffix.lower() not in IMAGE_EXTENSIONS:
            findings.append(Finding("odd file", path, "the extension is not that of an image; not read"))
            continue
        name = name_of(path)
        if name is None:
            findings.append(Finding("odd file", path, "the name does not identify a picture; not read"))
        elif name in files:
            findings.append(Finding("doubled", path, f"is the same picture as {files[name].name}; keep one"))
        else:
            files[name] = path
    findings += odd_extensions(list(files.values()))
    return files


def odd_extensions(paths: Sequence[Path]) -> list[Finding]:
    """Returns notes about files with a rare extension: at most a tenth of the files, and at most three."""
    counts = Counter(path.suffix for path in paths)
    rare = {suffix for suffix, count in counts.items() if count <= min(3, len(paths) // 10)}
    return [
        Finding("odd file", path, f"{path.suffix}, while the others are {counts.most_common(1)[0][0]}; read anyway")
        for path in paths
        if path.suffix in rare
    ]


def match(
    layers: Mapping[str, Mapping[str, Path]],
    folders: Mapping[str, Path],
    findings: list[Finding],
    *,
    prefix: str = "",
    may_lack: Sequence[str] = (),
) -> tuple[Entry, ...]:
    """Combines the files of the same name into pictures.

    Args:
        layers: layer -> name -> file.
        folders: layer -> folder of its files, for messages.
        findings: list to which files without a partner are appended.
        prefix: prefix of the names of the entries.
        may_lack: optional layers. Pictures without them are left out silently; a file of such a layer still needs all
            other layers.

    Returns:
        Complete pictures, in natural order of their names.
    """
    required = [layer for layer in layers if layer not in may_lack]
    entries = []
    for name in sorted({name for files in layers.values() for name in files}, key=natural_order):
        files = {layer: layers[layer][name] for layer in layers if name in layers[layer]}
        missing = [layer for layer in required if layer not in files]
        if missing:
            absent = " and ".join(folders[layer].name for layer in missing)
            findings.append(Finding("unpaired", next(iter(files.values())), f"no file {name!r} in {absent}"))
        elif len(files) == len(layers):
            entries.append(Entry(prefix + name, files))
    return tuple(entries)


def scan_folders(
    root: Path,
    folders: Mapping[str, str],
    findings: list[Finding],
    *,
    prefix: str = "",
    may_lack: Sequence[str] = (),
    name_of: Callable[[Path], str | None] = stem,
) -> tuple[Entry, ...]:
    """Finds the pictures of a folder that contains one subfolder per layer.

    Args:
        root: folder that contains the folders of the layers.
        folders: layer -> name of its folder, in any spelling. A missing folder is a finding, and its layer is left out.
        findings: list to which files and folders that do not fit are appended.
        prefix: prefix of the names of the entries.
        may_lack: optional layers, see `match`.
        name_of: function that returns the picture name of a file, or None.

    Returns:
        Complete pictures, in natural order of their names.
    """
    found = {layer: subfolder(root, folder) for layer, folder in folders.items()}
    paths = {layer: path for layer, path in found.items() if path.is_dir()}
    absent = [folder for layer, folder in folders.items() if layer not in paths]
    if absent:
        findings.append(Finding("incomplete", root, f"no folder {' and '.join(absent)}"))
    layers = {layer: index_files(path, findings, name_of=name_of) for layer, path in paths.items()}
    return match(layers, paths, findings, prefix=prefix, may_lack=may_lack)
