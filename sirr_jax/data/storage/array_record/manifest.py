"""What a packed set says of itself: `manifest.json` for people and checks, `index.msgpack` for finding a file.

A shard is an ArrayRecord file whose records are the encoded image files, byte for byte as they were.
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
      name: Its name in the set's folder.
      bytes: Its size.
      sha256: Its digest, hexadecimal.
      records: How many records it holds; 0 for the index.
    """

    name: str
    bytes: int
    sha256: str
    records: int = 0


@dataclass(frozen=True)
class Manifest:
    """The contents of `manifest.json`.

    Attributes:
      layout: Name of the layout that the set had: `real20`.
      title: What the set is, for people.
      published: Where its authors publish it; may be empty.
      license: Under which terms, as whoever packed it wrote.
      parts: Part to number of pictures; the part's name is empty where the set has none.
      layers: Layer to number of files.
      shards: The shards, in order.
      index: The index.
      skipped: Files that were left out because they could not be decoded.
      sirr_jax: Version that wrote it.
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
        """The file's text."""
        return json.dumps({"format": _FORMAT, "version": _VERSION} | dataclasses.asdict(self), indent=1) + "\n"


def is_packed(root: Path) -> bool:
    """Whether a folder holds a packed set."""
    return (root / INDEX).is_file() or _said(root).get("format") == _FORMAT


def read_manifest(root: Path) -> Manifest:
    """Reads `manifest.json` and looks whether all files that it names are there, with their sizes.

    Raises:
      UserError: The manifest is missing, damaged or of another version, or a file is missing or of another size.
    """
    said = _said(root)
    if said.pop("format", None) != _FORMAT:
        raise UserError(f"{root / MANIFEST}: no manifest of a packed set; pack the set again (sirr data pack)")
    if (version := said.pop("version", None)) != _VERSION:
        raise UserError(
            f"{root / MANIFEST}: version {version!r}, and this sirr_jax reads {_VERSION}; pack the set again"
        )
    try:
        shards = tuple(Stored(**shard) for shard in said.pop("shards"))
        manifest = Manifest(
            **said | {"index": Stored(**said["index"]), "skipped": tuple(said["skipped"])}, shards=shards
        )
    except (TypeError, KeyError):
        raise UserError(f"{root / MANIFEST}: damaged; pack the set again (sirr data pack)") from None
    for stored in (manifest.index, *shards):
        path = root / stored.name
        found = path.stat().st_size if path.is_file() else 0
        if found != stored.bytes:
            state = f"has {found} bytes" if path.is_file() else "is missing"
            raise UserError(f"{path} {state}; {MANIFEST} says {stored.bytes} bytes: copy or pack the set again")
    return manifest


def digest(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    sha256 = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            sha256.update(block)
    return sha256.hexdigest()


def _said(root: Path) -> dict[str, Any]:
    try:
        said = json.loads((root / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return said if isinstance(said, dict) else {}
