"""Reads the JSON files of a prepared TFDS set: its splits, features and metadata."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sirr_jax.data.storage.tfds.place import INFO
from sirr_jax.errors import UserError

FEATURES = "features.json"
METADATA = "metadata.json"
FORMAT = "array_record"

# TFDS's own default.
_TEMPLATE = "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}"


@dataclass(frozen=True)
class ImageFeature:
    """An image in every example, stored as an encoded file.

    Attributes:
        name: name of the feature, with `/` between levels.
        channels: number of channels; 0 if it differs between images.
    """

    name: str
    channels: int


@dataclass(frozen=True)
class PreparedSet:
    """The description of a prepared TFDS set.

    Attributes:
        splits: split -> ArrayRecord files and their numbers of records.
        images: image features.
        metadata: content of `metadata.json`; empty if there is none.
    """

    splits: Mapping[str, tuple[tuple[Path, int], ...]]
    images: tuple[ImageFeature, ...]
    metadata: Mapping[str, Any]


def read_prepared(folder: Path) -> PreparedSet:
    """Reads the description of a prepared TFDS set and checks that its files exist.

    Args:
        folder: folder of the prepared version.

    Returns:
        The description.

    Raises:
        UserError: A JSON file is missing or damaged, the set has another file format than ArrayRecord, or a file of
            records is missing.
    """
    info = _load(folder / INFO)
    stored = (info.get("fileFormat", "tfrecord"), *info.get("alternativeFileFormats", ()))
    if FORMAT not in stored:
        raise UserError(
            f"{folder}: a TFDS set in the file format {stored[0]}, which has no random access; prepare it with "
            f"file_format={FORMAT}"
        )
    try:
        splits = {split["name"]: tuple(_shards(folder, info["name"], split)) for split in info["splits"]}
        images = tuple(_images(_load(folder / FEATURES), ""))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{folder / INFO}: damaged ({error!r}); copy or prepare the set again") from None
    metadata = _load(folder / METADATA) if (folder / METADATA).exists() else {}
    return PreparedSet(splits, images, metadata)


def _load(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no JSON"
        raise UserError(f"{path}: missing or damaged ({reason}); copy or prepare the set again") from None
    if not isinstance(content, dict):
        raise UserError(f"{path}: damaged (no JSON object); copy or prepare the set again")
    return content


def _shards(folder: Path, name: str, split: Mapping[str, Any]) -> Iterator[tuple[Path, int]]:
    lengths = [int(length) for length in split["shardLengths"]]
    template = split.get("filepathTemplate") or _TEMPLATE
    for index, length in enumerate(lengths):
        values = {
            "DATASET": name,
            "SPLIT": split["name"],
            "FILEFORMAT": FORMAT,
            "SHARD_X_OF_Y": f"{index:05}-of-{len(lengths):05}",
            "SHARD_INDEX": f"{index:05}",
            "NUM_SHARDS": f"{len(lengths):05}",
        }
        path = folder / template.format(**values)
        if not path.is_file():
            raise UserError(f"{path} is missing; copy or prepare the set again")
        yield path, length


def _images(feature: Mapping[str, Any], name: str) -> Iterator[ImageFeature]:
    """Yields the images of a feature and of the features inside it; not those in sequences."""
    if "featuresDict" in feature:
        for key, inner in feature["featuresDict"]["features"].items():
            yield from _images(inner, f"{name}/{key}" if name else key)
    # A labeled image is an image feature with names for its values.
    image = feature.get("image") or feature.get("labeledImage")
    # TFDS stores floats as the four channels of a PNG file, which is no picture.
    if isinstance(image, dict) and "float" not in image.get("dtype", ""):
        dimensions = image.get("shape", {}).get("dimensions", ())
        yield ImageFeature(name, max(0, int(dimensions[-1])) if dimensions else 0)
