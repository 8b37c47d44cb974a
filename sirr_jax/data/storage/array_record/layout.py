"""The layout of a packed set, whose pictures are listed in its index."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from types import ModuleType
from typing import Any

import msgpack

from sirr_jax.data.images.decode import UnreadableImageError
from sirr_jax.data.images.image_file import ImageFile, PackedFile
from sirr_jax.data.images.label_spaces import ANY, LabelSpace
from sirr_jax.data.layouts.base import Entry, Finding, Layout, Part, Scan
from sirr_jax.data.storage.array_record.manifest import INDEX, Manifest, digest, is_packed, read_manifest
from sirr_jax.errors import UserError

# Records are read one at a time in random order: reading ahead would fetch unused records.
_OPTIONS = "readahead_buffer_size:0,max_parallelism:0"
_BUFFER_BYTES = 64 * 2**10


def load_array_record() -> ModuleType:
    """Imports array_record, the library that reads and writes shards.

    Returns:
        The module `array_record.python.array_record_module`.

    Raises:
        UserError: The package array_record is not installed.
    """
    try:
        from array_record.python import array_record_module
    except ImportError as error:
        raise UserError(f"packed sets need array_record ({error}): pip install 'sirr_jax[train]'") from None
    return array_record_module


def index_entry(entry: Entry, part: str, files: Iterable[tuple[str, str, int, int, tuple[int, int], Any]]) -> Any:
    """Returns one entry of the index.

    Args:
        entry: picture.
        part: name of its part.
        files: for each layer: layer, file name, shard number, record number, (height, width), label space or None.

    Returns:
        A list that msgpack can store.
    """
    return [
        entry.name,
        entry.sequence,
        part,
        [[*place, list(size), space and asdict(space)] for *place, size, space in files],
    ]


class _Shard:
    """One shard, opened on first use."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._reader: Any = None

    def load(self, record: int) -> bytes:
        try:
            if self._reader is None:
                with self._lock:
                    self._reader = self._reader or load_array_record().ArrayRecordReader(
                        str(self._path), _OPTIONS, file_reader_buffer_size=_BUFFER_BYTES
                    )
            return self._reader.read([record])[0]
        except (RuntimeError, ValueError, IndexError) as error:
            reason = " ".join(str(error).split())[:120]
            raise UnreadableImageError(
                f"{self._path}: record {record} cannot be read ({reason}); copy or pack the set again"
            ) from None


def _scan(root: Path) -> Scan:
    manifest = read_manifest(root)
    load_array_record()
    shards = [_Shard(root / stored.name) for stored in manifest.shards]
    parts: dict[str, list[Entry]] = {name: [] for name in manifest.parts}
    try:
        for name, sequence, part, files in msgpack.unpackb((root / INDEX).read_bytes()):
            packed_files: dict[str, ImageFile] = {
                layer: PackedFile(
                    root / file,
                    (size[0], size[1]),
                    functools.partial(shards[shard].load, record),
                    space and LabelSpace(**space),
                )
                for layer, file, shard, record, size, space in files
            }
            parts[part].append(Entry(name, packed_files, sequence))
    except (ValueError, TypeError, KeyError, IndexError) as error:
        raise UserError(f"{root / INDEX}: damaged ({error}); copy or pack the set again") from None
    _check_counts(root, manifest, parts)
    return Scan(tuple(Part(name, tuple(entries)) for name, entries in parts.items()), ())


def _check_counts(root: Path, manifest: Manifest, parts: dict[str, list[Entry]]) -> None:
    for name, entries in parts.items():
        if len(entries) != manifest.parts[name]:
            raise UserError(
                f"{root / INDEX}: {len(entries)} pictures{f' in {name}' if name else ''} but the manifest states "
                f"{manifest.parts[name]}; copy or pack the set again"
            )


def _verify(root: Path) -> list[Finding]:
    manifest = read_manifest(root)
    return [
        Finding("unreadable", root / stored.name, "its SHA-256 differs from the manifest; copy or pack the set again")
        for stored in (manifest.index, *manifest.shards)
        if digest(root / stored.name) != stored.sha256
    ]


def _label_space(file: ImageFile) -> LabelSpace:
    return file.labels if isinstance(file, PackedFile) and file.labels else ANY


SHARDS = Layout(
    "shards",
    "a packed set",
    "manifest.json, index.msgpack and pictures-*.array_record, as `sirr data pack` writes them",
    "",
    is_packed,
    _scan,
    label_space=_label_space,
    labels_may_differ=True,
    verify=_verify,
)
