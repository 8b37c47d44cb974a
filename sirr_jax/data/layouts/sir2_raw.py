"""SIR2 as its authors distribute it: one folder for each photograph, the layer told by a letter in the file's name.

Wan, Shi, Duan, Tan, Kot, "Benchmarking Single-Image Reflection Removal Algorithms", ICCV 2017; benchmark
specification, section 3.1.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from sirr_jax.data.images.reader import IMAGE_EXTENSIONS, list_folder, natural_order
from sirr_jax.data.layouts.base import Entry, Finding, Layout, Part, Scan
from sirr_jax.data.layouts.matching import odd_extensions

_LAYERS = {"m": "mixture", "g": "transmission", "r": "reflection"}
_EXPECTED = {"object": (200,), "postcard": (199, 179), "wild": (55, 101, 52)}
_DEPTH = 6


def layer_of(path: Path) -> tuple[str, bool] | None:
    """Tells the layer by the file's name: the word m, g or r in it, with or without the marker "rs".

    `m.png`, `3_g.jpg`, `r_rs.png` and `grs.jpg` are known names; in `rs.png` nothing but the marker is left.

    Args:
      path: The file.

    Returns:
      The layer and whether the name has the marker; None if the name tells no layer, or more than one.
    """
    words = re.findall("[a-z]+", path.stem.lower())
    layers = {match[1] or match[2] for word in words if (match := re.fullmatch("(?:rs)?([mgr])|([mgr])rs", word))}
    marked = any(re.fullmatch("rs|rs[mgr]|[mgr]rs", word) for word in words)
    return (_LAYERS[layers.pop()], marked) if len(layers) == 1 else None


def _triplet(folder: Path, findings: list[Finding]) -> dict[str, Path]:
    """The layers' files of one folder; of a plain and a marked file, those of the marked triplet if it is complete."""
    found: dict[bool, dict[str, Path]] = {True: {}, False: {}}
    for path in list_folder(folder):
        if path.is_dir():
            continue
        told = layer_of(path) if path.suffix.lower() in IMAGE_EXTENSIONS else None
        if told is None:
            findings.append(Finding("odd file", path, "the name does not tell a layer (m, g or r); not read"))
        elif told[0] in found[told[1]]:
            other = found[told[1]][told[0]].name
            findings.append(Finding("doubled", path, f"stands for the same layer as {other}; keep one"))
        else:
            found[told[1]][told[0]] = path
    for marked in (True, False):
        if len(found[marked]) == len(_LAYERS):
            return {layer: found[marked][layer] for layer in _LAYERS.values()}
    # A layer that exists once is that layer, marked or not.
    files = {}
    for layer in _LAYERS.values():
        candidates = [found[marked][layer] for marked in (True, False) if layer in found[marked]]
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
    """Folders of few images in which a name tells a layer."""
    for current, folders, files in os.walk(root, followlinks=True):
        here = Path(current)
        folders[:] = sorted((name for name in folders if not name.startswith(".")), key=natural_order)
        if len(here.relative_to(root).parts) >= _DEPTH:
            folders.clear()
        images = [path for name in files if (path := Path(name)).suffix.lower() in IMAGE_EXTENSIONS]
        # In a large folder such names are chance; triplets come with a file or two beside them at most.
        if len(images) <= 8 and any(layer_of(path) for path in images if not path.name.startswith(".")):
            yield here


def _recognize(root: Path) -> bool:
    for folder in _photo_folders(root):
        images = [path for path in list_folder(folder) if path.suffix.lower() in IMAGE_EXTENSIONS]
        layers = {told[0] for path in images if (told := layer_of(path))}
        # One triplet is no set.
        if folder != root and {"mixture", "transmission"} <= layers:
            return True
    return False


def _part(folders: tuple[str, ...]) -> str:
    """Postcard: Focus/<pair>/<n>. Object: <scene>/Focus/<n>. Wild: <n>."""
    variations = [index for index, name in enumerate(folders) if name.lower() in ("focus", "thickness")]
    if not variations:
        return "wild"
    return "postcard" if len(folders) - variations[-1] > 2 else "object"


def _scan(root: Path) -> Scan:
    findings: list[Finding] = []
    entries: dict[str, list[Entry]] = defaultdict(list)
    for folder in _photo_folders(root):
        files = _triplet(folder, findings)
        inside = folder.relative_to(root).parts
        missing = [letter for letter, layer in _LAYERS.items() if layer not in files]
        if missing:
            findings.append(Finding("unpaired", folder, f"no file for {' and '.join(missing)} of m, g, r"))
            continue
        # Where the root is itself a folder `Focus`, its name is needed to tell the part.
        entries[_part((root.absolute().name, *inside))].append(Entry("/".join(inside), files))
    parts = []
    for name, expected in _EXPECTED.items():
        if name in entries:
            found = sorted(entries[name], key=lambda entry: natural_order(entry.name))
            for layer in _LAYERS.values():
                findings += odd_extensions([entry.files[layer] for entry in found])
            parts.append(Part(name, tuple(found), expected))
    return Scan(tuple(parts), tuple(findings))


SIR2_RAW = Layout(
    "sir2_raw",
    "SIR2 as its authors distribute it",
    "<scene>/{Focus,Thickness}/<n>/{m,g,r}.* (object), {Focus,Thickness}/<pair>/<n>/{m,g,r}.* (postcard), "
    "<n>/{m,g,r}.* (wild), or folders of these",
    "sir2data.github.io (on registration)",
    _recognize,
    _scan,
)
