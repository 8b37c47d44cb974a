"""CEILNet's naming: `<id>-input`, `<id>-label1` (transmission), `<id>-label2` (reflection) in one folder.

Fan, Yang, Hua, Chen, Wipf, "A Generic Deep Architecture for Single Image Reflection Removal and Image Smoothing", ICCV
2017; benchmark specification, section 3.1.
"""

from __future__ import annotations

import re
from pathlib import Path

from sirr_jax.data.images.reader import IMAGE_EXTENSIONS, list_folder
from sirr_jax.data.layouts.base import Finding, Layout, Part, Scan
from sirr_jax.data.layouts.folder_names import names_of
from sirr_jax.data.layouts.matching import index_files, match
from sirr_jax.data.layouts.registry import register

_LAYERS = {"mixture": "-input", "transmission": "-label1", "reflection": "-label2"}
_STEM = re.compile(r"(?P<id>.+)(?P<ending>[-_ ]+(?:input|label[-_ ]?[12]))", re.IGNORECASE)
# By the end of the folder's name in lower-case letters and digits: synthetic sets, and photos without ground truth.
_EXPECTED = {"table2": (100,), "ceilnetsynthetic": (41,), "real45": (45,)}


def _stem(path: Path) -> str | None:
    """Returns `<id>-input`, `<id>-label1` or `<id>-label2` for a name in any spelling (`7_Label_1`), or None."""
    match = _STEM.fullmatch(path.stem)
    return f"{match['id']}-{re.sub('[-_ ]', '', match['ending']).lower()}" if match else None


def _recognize(root: Path) -> bool:
    files = [path for path in list_folder(root) if path.suffix.lower() in IMAGE_EXTENSIONS and not path.is_dir()]
    if any(path.stem.endswith("-input") for path in files):
        return True
    # Another spelling counts if there is a partner: `my_input.png` alone is a photo.
    stems = {_stem(path) for path in files}
    return any(f"{stem.removesuffix('-input')}-label1" in stems for stem in stems if stem and stem.endswith("-input"))


def _scan(root: Path) -> Scan:
    findings: list[Finding] = []

    files = index_files(root, findings, name_of=_stem)
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
    names = [re.sub(r"[^a-z0-9]", "", name.lower()) for name in names_of(root)]
    expected = next((counts for ending, counts in _EXPECTED.items() for name in names if name.endswith(ending)), ())
    return Scan((Part("", entries, expected),), tuple(findings))


CEILNET = Layout(
    "ceilnet",
    "a set in CEILNet's naming",
    "<id>-input.*, <id>-label1.* (transmission), <id>-label2.* (reflection) in one folder",
    "github.com/fqnchina/CEILNet",
    _recognize,
    _scan,
)

register(CEILNET, rank=300)
