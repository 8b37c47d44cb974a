"""CEILNet's naming: `<id>-input`, `<id>-label1` (transmission), `<id>-label2` (reflection) in one folder.

Fan, Yang, Hua, Chen, Wipf, "A Generic Deep Architecture for Single Image Reflection Removal and Image Smoothing", ICCV
2017; benchmark specification, section 3.1.
"""

from __future__ import annotations

from pathlib import Path

from sirr_jax.data.images.reader import list_folder
from sirr_jax.data.layouts.base import Finding, Layout, Part, Scan
from sirr_jax.data.layouts.matching import index_files, match

_LAYERS = {"mixture": "-input", "transmission": "-label1", "reflection": "-label2"}
# By the end of the folder's name in lower case: the authors' synthetic sets, and photos without ground truth.
_EXPECTED = {"table2": (100,), "ceilnet_synthetic": (41,), "real45": (45,)}


def _without_ending(path: Path, ending: str) -> str | None:
    return path.stem.removesuffix(ending) if path.stem.endswith(ending) else None


def _recognize(root: Path) -> bool:
    return any(_without_ending(path, "-input") for path in list_folder(root) if not path.is_dir())


def _scan(root: Path) -> Scan:
    findings: list[Finding] = []

    def name_of(path: Path) -> str | None:
        return path.stem if any(_without_ending(path, ending) for ending in _LAYERS.values()) else None

    files = index_files(root, findings, name_of=name_of)
    layers = {
        layer: {stem.removesuffix(ending): path for stem, path in files.items() if stem.endswith(ending)}
        for layer, ending in _LAYERS.items()
    }
    present = {layer: by_name for layer, by_name in layers.items() if by_name}
    # If any ground truth exists, the transmission is required; the reflection is optional.
    if len(present) > 1:
        present.setdefault("transmission", {})
    folders = {layer: root / f"<id>{ending}.*" for layer, ending in _LAYERS.items()}
    entries = match(present, folders, findings)
    name = root.absolute().name.lower()
    expected = next((counts for ending, counts in _EXPECTED.items() if name.endswith(ending)), ())
    return Scan((Part("", entries, expected),), tuple(findings))


CEILNET = Layout(
    "ceilnet",
    "a set in CEILNet's naming",
    "<id>-input.*, <id>-label1.* (transmission), <id>-label2.* (reflection) in one folder",
    "github.com/fqnchina/CEILNet",
    _recognize,
    _scan,
)
