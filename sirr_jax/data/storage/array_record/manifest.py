"""The metadata of a packed set: `manifest.json` for people and checks, `index.msgpack` for finding files.

A shard is an ArrayRecord file. Its records are the encoded image files, byte for byte.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sirr_jax.errors import UserError

MANIFEST = "manifest.json"
INDEX = "index.msgpack"
_FORMAT = "sirr_jax shards"
_VERSION = 1
_BLOCK = 2**20


@dataclass(frozen=True)
class Stored:
    """One file of a packed set.

    Attributes:
        name: file name in the folder of the set.
        bytes: file size in bytes.
        sha256: SHA-256 of the file, hexadecimal.
        records: number of records; 0 for the index.
    """

    name: str
    bytes: int
    sha256: str
    records: int = 0


@dataclass(frozen=True)
class Manifest:
    """The contents of `manifest.json`.

    Attributes:
        layout: name of the layout of the unpacked set, such as `real20`.
        title: human-readable name of the set.
        published: address at which the authors publish the set; may be empty.
        license: license of the pictures, as stated when packing.
        parts: part name -> number of pictures; the name is empty if the set has no parts.
        layers: layer -> number of files.
        shards: shards, in order.
        index: index file.
        skipped: messages about files that were left out because they could not be decoded.
        sirr_jax: version of sirr_jax that packed the set.
    """

    layout: str
    title: str
    published: str
    license: str
    parts: dict[str, int]
    layers: dict[str, int]
    shards: tuple[Stored, ...]
    index: Stored
    skipped: tuple[str, ...]
    sirr_jax: str

    def to_json(self) -> str:
        """Returns the text of the file."""
        return json.dumps({"format": _FORMAT, "version": _VERSION} | dataclasses.asdict(self), indent=1) + "\n"


def is_packed(root: Path) -> bool:
    """Returns whether a folder contains a packed set."""
    return (root / INDEX).is_file() or _load_json(root).get("format") == _FORMAT


def read_manifest(root: Path) -> Manifest:
    """Reads `manifest.json` and checks that all files that it lists exist and have the listed sizes.

    Args:
        root: folder of the packed set.

    Returns:
        The manifest.

    Raises:
        UserError: The manifest is missing, damaged or of another version, or a file is missing or of another size.
    """
    content = _load_json(root)
    if content.pop("format", None) != _FORMAT:
        raise UserError(f"{root / MANIFEST}: not the manifest of a packed set; pack the set again (sirr data pack)")
    if (version := content.pop("version", None)) != _VERSION:
        raise UserError(
            f"{root / MANIFEST}: version {version!r}, but this sirr_jax reads version {_VERSION}; pack the set again"
        )
    try:
        shards = tuple(Stored(**shard) for shard in content.pop("shards"))
        manifest = Manifest(
            **content | {"index": Stored(**content["index"]), "skipped": tuple(content["skipped"])}, shards=shards
        )
    except (TypeError, KeyError):
        raise UserError(f"{root / MANIFEST}: damaged; pack the set again (sirr data pack)") from None
    for stored in (manifest.index, *shards):
        path = root / stored.name
        size = path.stat().st_size if path.is_file() else 0
        if size != stored.bytes:
            state = f"has {size} bytes" if path.is_file() else "is missing"
            raise UserError(f"{path} {state}; {MANIFEST} states {stored.bytes} bytes: copy or pack the set again")
    return manifest


def digest(path: Path) -> str:
    """Returns the SHA-256 of a file, hexadecimal."""
    sha256 = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            sha256.update(block)
    return sha256.hexdigest()


def _load_json(root: Path) -> dict[str, Any]:
    """Returns the content of `manifest.json`; empty if it is missing or damaged."""
    try:
        content = json.loads((root / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
