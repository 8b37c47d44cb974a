"""The layout of a prepared TFDS set: sets that this project packs or builds, and any other set with images."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sirr_jax.data.images.image_file import ImageFile, PackedFile
from sirr_jax.data.images.label_spaces import ANY, LabelSpace
from sirr_jax.data.layouts.base import Entry, Layout, Part, Scan
from sirr_jax.data.storage.tfds.index import KEY, SetIndex
from sirr_jax.data.storage.tfds.info import METADATA, PreparedSet, read_prepared
from sirr_jax.data.storage.tfds.place import prepared_folder
from sirr_jax.data.storage.tfds.records import record_loaders
from sirr_jax.errors import UserError

_OLD_INDEX, _OLD_MANIFEST, _OLD_FORMAT = "index.msgpack", "manifest.json", "sirr_jax shards"

# Features of other sets of TFDS -> layers.
_LAYERS = {
    "mixture": "mixture",
    "transmission": "transmission",
    "reflection": "reflection",
    "labels": "labels",
    "image": "transmission",
    "image_left": "transmission",
    "segmentation_mask": "labels",
    "segmentation_label": "labels",
    "annotation": "labels",
    "mask": "labels",
}


def is_stored(root: Path) -> bool:
    """Returns whether a folder is a prepared TFDS set, or a set in the earlier format of `sirr data pack`."""
    return _is_old_pack(root) or prepared_folder(root) is not None


def _is_old_pack(root: Path) -> bool:
    if (root / _OLD_INDEX).is_file():
        return True
    try:
        content = json.loads((root / _OLD_MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and content.get("format") == _OLD_FORMAT


def _scan(root: Path) -> Scan:
    if _is_old_pack(root):
        raise UserError(
            f"{root}: packed by an earlier version of sirr_jax, whose format is no longer read; "
            f"pack the original set again: sirr data pack SET {root.with_name(root.name + '-tfds')}"
        )
    folder = prepared_folder(root)
    if folder is None:
        raise UserError(f"{root}: no prepared TFDS set; expected a folder with dataset_info.json")
    prepared = read_prepared(folder)
    scan = _indexed if KEY in prepared.metadata else _unindexed
    return Scan(tuple(scan(folder, prepared)), ())


def _indexed(folder: Path, prepared: PreparedSet) -> list[Part]:
    """Returns the parts of a set with an index, which `sirr data pack` and the builders write."""
    index = SetIndex.from_metadata(prepared.metadata, folder / METADATA)
    for name, size in index.bytes.items():
        present = (folder / name).stat().st_size
        if present != size:
            raise UserError(
                f"{folder / name} has {present} bytes, {METADATA} states {size}: copy or pack the set again"
            )
    parts = []
    for split, shards in prepared.splits.items():
        records = record_loaders(shards)
        pictures = index.pictures.get(split, [])
        if len(pictures) != len(records):
            raise UserError(
                f"{folder / METADATA}: {len(pictures)} pictures in {split}, but there are {len(records)} records; "
                "copy or prepare the set again"
            )
        entries = tuple(
            Entry(
                picture.name,
                {
                    layer: PackedFile(folder / file.name, file.size, functools.partial(load, layer), file.labels)
                    for layer, file in picture.files.items()
                },
                picture.sequence,
            )
            for picture, load in zip(pictures, records, strict=True)
        )
        parts.append(Part(index.parts.get(split, split), entries))
    return parts


def _unindexed(folder: Path, prepared: PreparedSet) -> list[Part]:
    """Returns the parts of any other set; pictures are named by their numbers, and sizes are read from the headers."""
    layers: dict[str, str] = {}
    for feature in prepared.images:
        layer = _LAYERS.get(feature.name) or ("transmission" if len(prepared.images) == 1 else "")
        if layer:
            layers.setdefault(layer, feature.name)
    if not layers:
        listed = ", ".join(feature.name for feature in prepared.images) or "none"
        raise UserError(
            f"{folder}: the image features of this TFDS set are {listed}; expected one image, or some of "
            f"{', '.join(_LAYERS)}"
        )
    return [
        Part(split, tuple(_numbered(folder, split, number, load, layers) for number, load in enumerate(records)))
        for split, records in ((split, record_loaders(shards)) for split, shards in prepared.splits.items())
    ]


def _numbered(folder: Path, split: str, number: int, load: Callable[[str], bytes], layers: dict[str, str]) -> Entry:
    name = f"{split}/{number}"
    files: dict[str, ImageFile] = {
        layer: PackedFile(folder / name / feature, None, functools.partial(load, feature), _space(layer))
        for layer, feature in layers.items()
    }
    return Entry(name, files)


def _space(layer: str) -> LabelSpace | None:
    return ANY if layer == "labels" else None


def _label_space(file: ImageFile) -> LabelSpace:
    return file.labels if isinstance(file, PackedFile) and file.labels else ANY


def source_metadata(root: Path) -> dict[str, Any]:
    """Returns what a packed or built set states about the set that it was made from; empty for other sets."""
    folder = prepared_folder(root)
    content = read_prepared(folder).metadata.get(KEY, {}) if folder else {}
    return {name: content[name] for name in ("layout", "title", "published", "license") if name in content}


TFDS = Layout(
    "tfds",
    "a TFDS set",
    "dataset_info.json, features.json and *.array_record-*, as TFDS and `sirr data pack` write them",
    "",
    is_stored,
    _scan,
    label_space=_label_space,
    labels_may_differ=True,
)
