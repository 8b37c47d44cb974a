"""Files that belong to the same picture, found by name and never by their place in a listing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from sirr_jax.data.images.reader import IMAGE_EXTENSIONS, list_folder, natural_order
from sirr_jax.data.layouts.base import Entry, Finding


def stem(path: Path) -> str:
    """The name without its extension."""
    return path.stem


def number_before_underscore(path: Path) -> str | None:
    """The number before the first `_`, without leading zeros: `12` for `012_rain.png`; None if there is none."""
    return number_first(path) if "_" in path.stem else None


def number_first(path: Path) -> str | None:
    """The number before the first `_`, or that is the whole name, without leading zeros; None if there is none."""
    number = path.stem.partition("_")[0]
    # `isdigit` alone is also true of digits that `int` refuses.
    return str(int(number)) if number.isascii() and number.isdigit() else None


def has_folders(root: Path, *names: str) -> bool:
    """Whether a folder holds folders of all these names."""
    return all((root / name).is_dir() for name in names)


def has_a_folder(root: Path, *names: str) -> bool:
    """Whether a folder holds a folder of one of these names."""
    return any((root / name).is_dir() for name in names)


def index_files(
    folder: Path, findings: list[Finding], *, name_of: Callable[[Path], str | None] = stem
) -> dict[str, Path]:
    """Finds the image files of one folder by the name of their picture.

    Args:
      folder: The folder.
      findings: Takes doubled names, files without an image's extension or without a picture's name, and files
        whose extension is not that of the others.
      name_of: The picture's name of a file, or None if it has none.

    Returns:
      Name to file; of a doubled name, the first by file name.
    """
    found: dict[str, Path] = {}
    for path in list_folder(folder):
        if path.is_dir():
            continue
        if path.suffix.lower() not in IMAGE_EXTENSIONS:
            findings.append(Finding("odd file", path, "not an image by its extension; not read"))
            continue
        name = name_of(path)
        if name is None:
            findings.append(Finding("odd file", path, "the name does not tell which picture it is; not read"))
        elif name in found:
            findings.append(Finding("doubled", path, f"stands for the same picture as {found[name].name}; keep one"))
        else:
            found[name] = path
    findings += odd_extensions(list(found.values()))
    return found


def odd_extensions(paths: Sequence[Path]) -> list[Finding]:
    """Notes the few files whose extension is not that of the rest: at most a tenth, three at most."""
    kinds = Counter(path.suffix for path in paths)
    rare = {kind for kind, count in kinds.items() if count <= min(3, len(paths) // 10)}
    return [
        Finding("odd file", path, f"{path.suffix} where the others are {kinds.most_common(1)[0][0]}; read all the same")
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
    """Puts together the files that share a name.

    Args:
      layers: Layer to files by name.
      folders: Layer to the folder that its files are in, for messages.
      findings: Takes the files that lack a partner.
      prefix: Put before the names of the entries.
      may_lack: Layers that may be missing: pictures that have none of these are left out without a word. A file of
        such a layer still needs all the others.

    Returns:
      The complete pictures, in natural order of their names.
    """
    needed = [layer for layer in layers if layer not in may_lack]
    entries = []
    for name in sorted({name for files in layers.values() for name in files}, key=natural_order):
        files = {layer: layers[layer][name] for layer in layers if name in layers[layer]}
        missing = [layer for layer in needed if layer not in files]
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
    """Finds the pictures of a folder that holds one folder for each layer.

    Args:
      root: Holds the layers' folders.
      folders: Layer to the name of its folder. One that does not exist is a finding, and its layer left out.
      findings: Takes what does not fit.
      prefix: Put before the names of the entries.
      may_lack: As for `match`.
      name_of: The picture's name of a file.

    Returns:
      The complete pictures, in natural order of their names.
    """
    places = {layer: root / folder for layer, folder in folders.items() if (root / folder).is_dir()}
    absent = [folder for layer, folder in folders.items() if layer not in places]
    if absent:
        findings.append(Finding("incomplete", root, f"no folder {' and '.join(absent)}"))
    layers = {layer: index_files(place, findings, name_of=name_of) for layer, place in places.items()}
    return match(layers, places, findings, prefix=prefix, may_lack=may_lack)
