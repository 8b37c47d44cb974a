"""Packing of data sets into shards."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgpack

import sirr_jax
from sirr_jax.data.find_dataset import find_set
from sirr_jax.data.images.decode import UnreadableImageError, read_image
from sirr_jax.data.images.image_file import ImageFile, PackedFile, path_of
from sirr_jax.data.layouts.base import Entry, Layout
from sirr_jax.data.sources.sequences import FolderSequences
from sirr_jax.data.storage.array_record.layout import SHARDS, index_entry, load_array_record
from sirr_jax.data.storage.array_record.manifest import INDEX, MANIFEST, Manifest, Stored, digest, read_manifest
from sirr_jax.errors import UserError
from sirr_jax.temporary_paths import new_folder

_log = logging.getLogger(__name__)

# One record per block allows random access; encoded images cannot be compressed further.
_OPTIONS = "group_size:1,uncompressed"


def pack(
    root: str | Path,
    out: str | Path,
    *,
    layout: str | None = None,
    shard_bytes: int = 256 * 2**20,
    license: str = "",  # noqa: A002 - the field's name everywhere
    skip_unreadable: bool = False,
    report: Callable[[int, int], None] = lambda done, total: None,  # noqa: ARG005
) -> Manifest:
    """Writes the files of a data set into shards, byte for byte, after decoding each file once as a check.

    The set is written beside `out`, under a name of its own, and renamed when it is complete.
    The same files give the same bytes.

    Args:
        root: data set, or `ROOT#PART` for one of its parts; see `sirr_jax.data.find_dataset`.
        out: output folder; must not exist.
        layout: name of the layout; None to recognize it.
        shard_bytes: target size of a shard in bytes; a shard ends with the file that reaches it.
        license: license of the pictures, for the manifest.
        skip_unreadable: whether to leave out pictures with an undecodable file and list these files in the manifest.
        report: progress callback; takes the number of processed pictures and their total.

    Returns:
        The manifest.

    Raises:
        UserError: `out` exists, the set is not recognized or has files without partners, a file cannot be decoded, or
            array_record is not installed.
    """
    out = Path(out)
    if out.exists():
        raise UserError(f"{out} exists; choose another folder or remove it first")
    if shard_bytes < 1:
        raise UserError(f"shards of {shard_bytes} bytes: expected 1 or more")
    found_layout, home, parts = find_set(root, layout=layout)
    if found_layout.trains_as == "sequences":
        FolderSequences(home)  # finds copied frames, which are not checked in a packed set
    total = sum(len(entries) for entries in parts.values())
    with new_folder(out) as partial:
        shards = _Shards(partial, shard_bytes)
        locations: dict[ImageFile, tuple[int, int]] = {}
        index, skipped = [], []
        counts = Counter(dict.fromkeys(parts, 0))
        layers: Counter[str] = Counter()
        done = 0
        for part, entries in parts.items():
            for entry in entries:
                try:
                    stored = [
                        _store(shards, locations, found_layout, home, layer, file, size)
                        for layer, (file, size) in _decode_all(entry).items()
                    ]
                except UnreadableImageError as error:
                    if not skip_unreadable:
                        raise
                    _log.warning("skipped: %s", error)
                    skipped.append(str(error))
                else:
                    index.append(index_entry(entry, part, stored))
                    counts[part] += 1
                    layers.update(entry.files.keys())
                done += 1
                report(done, total)
        shards.close()
        (partial / INDEX).write_bytes(msgpack.packb(index))
        source = read_manifest(home) if found_layout is SHARDS else None
        manifest = Manifest(
            layout=source.layout if source else found_layout.name,
            title=source.title if source else found_layout.title,
            published=source.published if source else found_layout.published,
            license=license or (source.license if source else "not stated"),
            parts=dict(counts),
            layers=dict(layers),
            shards=tuple(_describe(partial / name, records) for name, records in shards.written),
            index=_describe(partial / INDEX, 0),
            skipped=tuple(skipped),
            sirr_jax=sirr_jax.__version__,
        )
        (partial / MANIFEST).write_text(manifest.to_json(), encoding="utf-8")
    return manifest


class _Shards:
    """Writes records into consecutive shards."""

    def __init__(self, folder: Path, limit: int) -> None:
        self.written: list[tuple[str, int]] = []
        self._folder = folder
        self._limit = limit
        self._writer: Any = None
        self._bytes = 0

    def add(self, record: bytes) -> tuple[int, int]:
        """Writes a record and returns its shard number and its record number in the shard."""
        if self._writer is None or self._bytes >= self._limit:
            self.close()
            name = f"pictures-{len(self.written):05d}.array_record"
            self._writer = load_array_record().ArrayRecordWriter(str(self._folder / name), _OPTIONS)
            self.written.append((name, 0))
            self._bytes = 0
        name, count = self.written[-1]
        self._writer.write(record)
        self._bytes += len(record)
        self.written[-1] = (name, count + 1)
        return len(self.written) - 1, count

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def _decode_all(entry: Entry) -> dict[str, tuple[ImageFile, tuple[int, int]]]:
    """Decodes all files of a picture and returns layer -> file and its height and width."""
    return {layer: (file, read_image(file).shape[:2]) for layer, file in entry.files.items()}


def _store(
    shards: _Shards,
    locations: dict[ImageFile, tuple[int, int]],
    layout: Layout,
    home: Path,
    layer: str,
    file: ImageFile,
    size: tuple[int, int],
) -> tuple[str, str, int, int, tuple[int, int], Any]:
    """Writes one file, unless it is already stored, and returns its part of the index entry."""
    if file not in locations:
        # Several pictures in fog or rain may share one clear photo.
        locations[file] = shards.add(file.load() if isinstance(file, PackedFile) else file.read_bytes())
    space = None
    if layout.label_space is not None and layer in ("labels", "reflection_labels"):
        space = layout.label_space(file)
    name = path_of(file).relative_to(home).as_posix()
    return (layer, name, *locations[file], size, space)


def _describe(path: Path, records: int) -> Stored:
    return Stored(path.name, path.stat().st_size, digest(path), records)
