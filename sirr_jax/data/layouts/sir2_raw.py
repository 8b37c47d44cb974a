"""SIR2 as its authors distribute it: one folder per scene, with the layer as a letter in the file name.

Wan, Shi, Duan, Tan, Kot, "Benchmarking Single-Image Reflection Removal Algorithms", ICCV 2017; benchmark specification,
section 3.1.
"""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

from sirr_jax.data.images.image_file import ImageFile, path_of
from sirr_jax.data.images.passing_errors import is_passing
from sirr_jax.data.images.reader import IMAGE_EXTENSIONS, is_clutter, list_folder, natural_order
from sirr_jax.data.layouts.base import Entry, Finding, Layout, Part, Scan
from sirr_jax.data.layouts.matching import odd_extensions
from sirr_jax.data.layouts.registry import register
from sirr_jax.data.layouts.sir2_parts import EXPECTED, is_ground_truth_folder, is_variation, part_mentioned, part_named

_LAYERS = {"m": "mixture", "g": "transmission", "r": "reflection"}
# SIR2_Dataset/Postcard Dataset/Postcard Dataset/Focus/<pair>/<n> has six; two more for wrappers.
_DEPTH = 8
# Folders above the set that may name its part, for a check of `Postcard Dataset/Focus/<pair>` alone.
_ABOVE = 3


def layer_of(path: Path) -> tuple[str, bool] | None:
    """Returns the layer of a file by its name: the word m, g or r in it, with or without the marker "rs".

    `m.png`, `3_g.jpg`, `r_rs.png` and `grs.jpg` name a layer; `rs.png` contains only the marker.

    Args:
        path: image file.

    Returns:
        The layer and whether the name has the marker; None if the name contains no layer or several.
    """
    words = re.findall("[a-z]+", path.stem.lower())
    layers = {match[1] or match[2] for word in words if (match := re.fullmatch("(?:rs)?([mgr])|([mgr])rs", word))}
    marked = any(re.fullmatch("rs|rs[mgr]|[mgr]rs", word) for word in words)
    return (_LAYERS[layers.pop()], marked) if len(layers) == 1 else None


def _triplet(folder: Path, findings: list[Finding]) -> dict[str, ImageFile]:
    """Returns layer -> file of one folder; a complete marked triplet takes precedence over unmarked files."""
    by_marker: dict[bool, dict[str, Path]] = {True: {}, False: {}}
    for path in list_folder(folder):
        if path.is_dir():
            continue
        layer_and_marker = layer_of(path) if path.suffix.lower() in IMAGE_EXTENSIONS else None
        if layer_and_marker is None:
            findings.append(Finding("odd file", path, "the name contains no layer (m, g or r); not read"))
        else:
            layer, marked = layer_and_marker
            if layer in by_marker[marked]:
                other = by_marker[marked][layer].name
                findings.append(Finding("doubled", path, f"is the same layer as {other}; keep one"))
            else:
                by_marker[marked][layer] = path
    for marked in (True, False):
        if len(by_marker[marked]) == len(_LAYERS):
            return {layer: by_marker[marked][layer] for layer in _LAYERS.values()}
    # Without a complete triplet, a layer that exists once is used, marked or not.
    files: dict[str, ImageFile] = {}
    for layer in _LAYERS.values():
        candidates = [by_marker[marked][layer] for marked in (True, False) if layer in by_marker[marked]]
        if len(candidates) == 1:
            files[layer] = candidates[0]
        elif candidates:
            names = f"{candidates[1].name} and {candidates[0].name}"
            findings.append(
                Finding("doubled", candidates[0], f"{names}: neither belongs to a complete triplet; keep one")
            )
            files[layer] = candidates[0]
    return files


def _photo_folders(root: Path) -> Iterator[Path]:
    """Yields folders of few images in which a file name contains a layer."""
    for current, folders, files in os.walk(root, onerror=_raise_passing, followlinks=True):
        here = Path(current)
        folders[:] = sorted((name for name in folders if not is_clutter(name)), key=natural_order)
        if len(here.relative_to(root).parts) >= _DEPTH:
            folders.clear()
        images = [path for name in files if (path := Path(name)).suffix.lower() in IMAGE_EXTENSIONS]
        # In a large folder such names are a coincidence; a triplet has at most a few files next to it.
        if len(images) <= 8 and any(layer_of(path) for path in images if not path.name.startswith(".")):
            yield here


def _raise_passing(error: OSError) -> None:
    if is_passing(error):
        raise error


def _recognize(root: Path) -> bool:
    for folder in _photo_folders(root):
        images = [path for path in list_folder(folder) if path.suffix.lower() in IMAGE_EXTENSIONS]
        layers = {layer_and_marker[0] for path in images if (layer_and_marker := layer_of(path))}
        # A single triplet is not a data set.
        if folder != root and {"mixture", "transmission"} <= layers:
            return True
    return False


def _part(root: Path, inside: tuple[str, ...]) -> str | None:
    """Returns the part of a picture by the folders that contain it; None if none of them tells.

    The parts' own folders decide first, the innermost of them. Otherwise the place of `Focus` and `Thick` does:
    postcards have `Focus/<pair>/<n>`, objects `<scene>/Focus/<n>`.
    """
    *above, name = root.absolute().parts[-1 - _ABOVE :]
    named = (
        *(part_named(folder) or part_mentioned(folder) for folder in reversed(inside)),
        *(part_named(folder) for folder in (name, *reversed(above))),
    )
    if part := next(filter(None, named), None):
        return part
    folders = (name, *inside)
    variations = [index for index, folder in enumerate(folders) if is_variation(folder)]
    if variations:
        return "postcard" if len(folders) - variations[-1] > 2 else "object"
    if any(map(is_ground_truth_folder, folders)):
        return "wild"
    if above and is_variation(above[-1]):
        return "postcard"
    return "wild" if all(folder.isdigit() for folder in inside) else None


def _scan(root: Path) -> Scan:
    findings: list[Finding] = []
    entries: dict[str, list[Entry]] = defaultdict(list)
    unnamed: Counter[Path] = Counter()
    for folder in _photo_folders(root):
        files = _triplet(folder, findings)
        inside = folder.relative_to(root).parts
        missing = [letter for letter, layer in _LAYERS.items() if layer not in files]
        if missing:
            findings.append(Finding("unpaired", folder, f"no file for {' and '.join(missing)} of m, g, r"))
            continue
        part = _part(root, inside)
        if part is None:
            unnamed[folder.parent] += 1
        entries[part or "wild"].append(Entry("/".join(inside), files))
    findings += [
        Finding("not read", folder, f"{count} of its folders count as wild: no folder names a part (postcard, object)")
        for folder, count in unnamed.items()
    ]
    parts = []
    for name, expected in EXPECTED.items():
        if name in entries:
            ordered = sorted(entries[name], key=lambda entry: natural_order(entry.name))
            for layer in _LAYERS.values():
                findings += odd_extensions([path_of(entry.files[layer]) for entry in ordered])
            parts.append(Part(name, tuple(ordered), expected))
    return Scan(tuple(parts), tuple(findings))


SIR2_RAW = Layout(
    "sir2_raw",
    "SIR2 as its authors distribute it",
    "SolidObjectDataset/<scene>/{Focus,Thick}/<n>/{m,g,r}.*, Postcard Dataset/{Focus,Thick}/<pair>/<n>/{m,g,r}.*, "
    "Wildscene/<n>/{m,g,r}.*, or folders of these",
    "sir2data.github.io (on registration)",
    _recognize,
    _scan,
)

register(SIR2_RAW, rank=310)
