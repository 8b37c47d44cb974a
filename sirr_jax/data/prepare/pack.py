"""Packing of data sets: the files as they are, in a TFDS set with ArrayRecord."""

from __future__ import annotations

import io
import logging
import re
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from sirr_jax import __version__, temporary_paths
from sirr_jax.data.find_dataset import FoundSet, find_set
from sirr_jax.data.images.cpu_count import usable_cores
from sirr_jax.data.images.decode import UnreadableImageError, is_plain, read_encoded, read_image
from sirr_jax.data.images.image_file import relative_name
from sirr_jax.data.layouts.base import Entry, Layout
from sirr_jax.data.prepare.tfds.writer import SetWriter, name_and_version
from sirr_jax.data.sources.sequences import FolderSequences
from sirr_jax.data.storage.tfds.index import IndexedFile, IndexedPicture, SetIndex
from sirr_jax.data.storage.tfds.layout import source_metadata
from sirr_jax.data.storage.tfds.place import is_reference, new_folder
from sirr_jax.errors import UserError

_log = logging.getLogger(__name__)

_LABEL_LAYERS = ("labels", "reflection_labels")
_READ_AHEAD = 32
# What an interrupted run leaves.


@dataclass(frozen=True)
class PackedSet:
    """What was packed.

    Attributes:
        folder: folder of the prepared TFDS set.
        layout: name of the layout of the original set, such as `real20`.
        title: human-readable name of the set.
        published: address at which the authors publish the set; may be empty.
        license: license of the pictures, as stated when packing; may be empty.
        parts: part name -> number of pictures; the name is empty if the set has no parts.
        layers: layer -> number of files.
        shards: number of files of records.
        bytes: total size of these files in bytes.
        skipped: messages about pictures that were left out because a file could not be decoded.
    """

    folder: Path
    layout: str
    title: str
    published: str
    license: str
    parts: dict[str, int]
    layers: dict[str, int]
    shards: int
    bytes: int
    skipped: tuple[str, ...]


@dataclass(frozen=True)
class _Read:
    """A picture with the bytes of its files, and the layers that any reader of images decodes alike."""

    picture: IndexedPicture
    files: dict[str, bytes]
    plain: tuple[str, ...]


def pack(
    root: str | Path,
    out: str | Path,
    *,
    layout: str | None = None,
    shard_bytes: int = 256 * 2**20,
    license: str = "",  # noqa: A002 - the field's name everywhere
    skip_unreadable: bool = False,
    report: Callable[[int, int], None] = lambda done, total: None,  # noqa: ARG005
) -> PackedSet:
    """Writes the files of a data set into a TFDS set, byte for byte, after decoding each file once as a check.

    The set is written beside `out`, under a name of its own, and renamed when it is complete.
    The same files give the same bytes.

    Args:
        root: data set, or `ROOT#PART` for one of its parts; see `sirr_jax.data.find_dataset`.
        out: folder to make, or `tfds:NAME` for `NAME/1.0.0` in the folder of prepared TFDS sets. It must not exist.
        layout: name of the layout; None to recognize it.
        shard_bytes: target size of a file of records in bytes; it ends with the picture that reaches it.
        license: license of the pictures.
        skip_unreadable: whether to leave out pictures with an undecodable file and list these files in the metadata.
        report: progress callback; takes the number of processed pictures and their total.

    Returns:
        A summary.

    Raises:
        UserError: `out` exists, the set is not recognized or has files without partners, a file cannot be decoded, no
            picture is left, or TFDS or array_record is not installed.
    """
    folder = new_folder(str(out)) if is_reference(out) else Path(out)
    if folder.exists() or folder.is_symlink():
        raise UserError(f"{folder} exists; choose another folder or remove it first")
    if shard_bytes < 1:
        raise UserError(f"shards of {shard_bytes} bytes: expected 1 or more")
    found = find_set(root, layout=layout)
    if found.layout.trains_as == "sequences":
        FolderSequences(found.root)  # finds copied frames, which are not checked in a packed set
    try:
        with temporary_paths.new_folder(folder) as partial:
            return _write(found, folder, partial, shard_bytes, license, skip_unreadable, report)
    except OSError as error:
        raise UserError(f"{folder}: cannot be written ({error.strerror}); choose another OUT") from None


def _write(
    found: FoundSet,
    folder: Path,
    partial: Path,
    shard_bytes: int,
    license: str,  # noqa: A002
    skip_unreadable: bool,
    report: Callable[[int, int], None],
) -> PackedSet:
    name, version = name_and_version(folder)
    entries = [entry for part in found.parts.values() for entry in part]
    all_layers = sorted({layer for entry in entries for layer in entry.files})
    writer = SetWriter(
        partial, name, all_layers, shard_bytes=shard_bytes, sequences=any(entry.sequence for entry in entries)
    )
    index = SetIndex()
    layers: Counter[str] = Counter()
    skipped: list[str] = []
    done = 0
    try:
        for part, pictures in found.parts.items():
            split = re.sub(r"\W", "_", part) or "train"
            for read in _read_all(found.layout, found.root, pictures):
                if isinstance(read, _Read):
                    writer.add(split, read.picture, read.files, images=read.plain)
                    index.parts[split] = part
                    index.pictures.setdefault(split, []).append(read.picture)
                    layers.update(read.files.keys())
                elif not skip_unreadable:
                    raise read
                else:
                    _log.warning("skipped: %s", read)
                    skipped.append(str(read))
                done += 1
                report(done, len(entries))
        if not index.pictures:
            raise UserError(f"{found.root}: none of the {len(entries)} pictures can be decoded; replace the files")
        facts = {
            "layout": found.layout.name,
            "title": found.layout.title,
            "published": found.layout.published,
            **source_metadata(found.root),
        }
        facts["license"] = license or facts.get("license", "")
        sizes = writer.finish(version, index, {**facts, "skipped": skipped, "version": __version__})
    finally:
        writer.abandon()
    return PackedSet(
        folder=folder,
        **facts,
        parts={part: len(index.pictures[split]) for split, part in index.parts.items()},
        layers=dict(layers),
        shards=sum(len(size.records) for size in sizes.values()),
        bytes=sum(index.bytes.values()),
        skipped=tuple(skipped),
    )


def _read_all(layout: Layout, root: Path, entries: tuple[Entry, ...]) -> Iterator[_Read | UnreadableImageError]:
    """Reads pictures in parallel, in order; an undecodable file gives the error in place of its picture."""

    def read(entry: Entry) -> _Read | UnreadableImageError:
        try:
            return _read(layout, root, entry)
        except UnreadableImageError as error:
            return error

    with ThreadPoolExecutor(usable_cores()) as pool:
        # In small groups: `map` reads all its inputs at once, and photos are large.
        for start in range(0, len(entries), _READ_AHEAD):
            yield from pool.map(read, entries[start : start + _READ_AHEAD])


def _read(layout: Layout, root: Path, entry: Entry) -> _Read:
    encoded, indexed, plain = {}, {}, []
    for layer, file in entry.files.items():
        encoded[layer] = read_encoded(file)
        height, width = read_image(io.BytesIO(encoded[layer]), name=str(file)).shape[:2]
        is_labels = layer in _LABEL_LAYERS
        space = layout.label_space(file) if layout.label_space is not None and is_labels else None
        indexed[layer] = IndexedFile(relative_name(file, root), (height, width), space)
        if is_plain(encoded[layer], channels=1 if is_labels else 3):
            plain.append(layer)
    return _Read(IndexedPicture(entry.name, entry.sequence, indexed), encoded, tuple(plain))
