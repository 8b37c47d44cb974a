"""Any data set -> shards."""

from __future__ import annotations

import logging
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgpack

import sirr_jax
from sirr_jax.data.find_dataset import find_set
from sirr_jax.data.images.decode import UnreadableImageError, read_image
from sirr_jax.data.images.image_file import ImageFile, PackedFile, place_of
from sirr_jax.data.layouts.base import Entry, Layout
from sirr_jax.data.sources.sequences import FolderSequences
from sirr_jax.data.storage.array_record.layout import SHARDS, index_entry, load_array_record
from sirr_jax.data.storage.array_record.manifest import INDEX, MANIFEST, Manifest, Stored, digest, read_manifest
from sirr_jax.errors import UserError

_log = logging.getLogger(__name__)

# One record per block, which can be read by itself; encoded images do not become smaller.
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
    """Writes a data set's files into shards, byte for byte, after decoding each once to see that it can be.

    The folder appears when it is complete; what a killed process leaves is called `<out>.partial` and is begun anew.
    The same files give the same bytes.

    Args:
      root: The set, or `ROOT#PART` for one of its parts; see `sirr_jax.data.find_dataset`.
      out: Folder to make; must not exist.
      layout: Name of the set's layout; None to recognize it.
      shard_bytes: A shard ends with the file that brings it to this size.
      license: Under which terms the pictures may be used, for the manifest.
      skip_unreadable: Leave pictures out of which a file cannot be decoded, and name those files in the manifest.
      report: Called with the number of pictures done and their total.

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
        raise UserError(f"shards of {shard_bytes} bytes; give 1 or more")
    found, home, parts = find_set(root, layout=layout)
    if found.trains_as == "sequences":
        FolderSequences(home)  # finds frames that are copies of each other, which a packed set cannot be asked for
    total = sum(len(entries) for entries in parts.values())
    partial = out.with_name(f"{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    shards = _Shards(partial, shard_bytes)
    places: dict[ImageFile, tuple[int, int]] = {}
    index, counts, layers, skipped = [], Counter(dict.fromkeys(parts, 0)), Counter(), []
    done = 0
    for part, entries in parts.items():
        for entry in entries:
            try:
                stored = [_stored(shards, places, found, home, layer, file) for layer, file in _decoded(entry).items()]
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
    before = read_manifest(home) if found is SHARDS else None
    manifest = Manifest(
        layout=before.layout if before else found.name,
        title=before.title if before else found.title,
        published=before.published if before else found.published,
        license=license or (before.license if before else "not stated"),
        parts=dict(counts),
        layers=dict(layers),
        shards=tuple(_described(partial / name, records) for name, records in shards.written),
        index=_described(partial / INDEX, 0),
        skipped=tuple(skipped),
        sirr_jax=sirr_jax.__version__,
    )
    (partial / MANIFEST).write_text(manifest.to_json(), encoding="utf-8")
    partial.replace(out)
    return manifest


class _Shards:
    """Writes records into one shard after the other."""

    def __init__(self, folder: Path, limit: int) -> None:
        self.written: list[tuple[str, int]] = []
        self._folder = folder
        self._limit = limit
        self._writer: Any = None
        self._bytes = 0

    def add(self, record: bytes) -> tuple[int, int]:
        """Writes a record; returns the numbers of its shard and of itself in there."""
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


def _decoded(entry: Entry) -> dict[str, tuple[ImageFile, tuple[int, int]]]:
    """Every file of a picture with its size, after all of them have been decoded."""
    return {layer: (file, read_image(file).shape[:2]) for layer, file in entry.files.items()}


def _stored(
    shards: _Shards,
    places: dict[ImageFile, tuple[int, int]],
    layout: Layout,
    home: Path,
    layer: str,
    file: tuple[ImageFile, tuple[int, int]],
) -> tuple[str, str, int, int, tuple[int, int], Any]:
    source, size = file
    if source not in places:
        # One clear photograph may stand behind many in fog or rain.
        places[source] = shards.add(source.load() if isinstance(source, PackedFile) else source.read_bytes())
    labelled = layout.label_space is not None and layer in ("labels", "reflection_labels")
    space = layout.label_space(source) if labelled else None
    name = place_of(source).relative_to(home).as_posix()
    return (layer, name, *places[source], size, space)


def _described(path: Path, records: int) -> Stored:
    return Stored(path.name, path.stat().st_size, digest(path), records)
