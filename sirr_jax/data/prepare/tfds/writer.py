"""Writes a TFDS set whose examples hold encoded files, byte for byte."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from sirr_jax.data.prepare.tfds.library import load_tfds
from sirr_jax.data.storage.tfds.index import KEY, IndexedPicture, SetIndex
from sirr_jax.data.storage.tfds.info import FORMAT
from sirr_jax.data.storage.tfds.records import load_array_record

# One record per block allows random access; encoded images cannot be compressed further.
_OPTIONS = "group_size:1,uncompressed"
_VERSION = re.compile(r"\d+\.\d+\.\d+")
_ORIGINAL = "the file as it was"


class SplitSize(NamedTuple):
    """The size of one split.

    Attributes:
        records: number of records of each file.
        bytes: total size of the records in bytes.
    """

    records: list[int]
    bytes: int


def name_and_version(folder: Path) -> tuple[str, str]:
    """Returns the TFDS name and the version of a set by its folder: `NAME/1.2.0`, or `NAME` alone for 1.0.0."""
    folder = folder.absolute()
    has_version = _VERSION.fullmatch(folder.name) is not None
    home = folder.parent if has_version else folder
    name = re.sub(r"[^a-z0-9]+", "_", home.name.lower()).strip("_")
    if not name or not name[0].isalpha():
        name = f"set_{name}".rstrip("_")
    return name, folder.name if has_version else "1.0.0"


class SetWriter:
    """Writes examples into consecutive ArrayRecord files, and at last the description of the set."""

    def __init__(self, folder: Path, name: str, layers: Iterable[str], *, shard_bytes: int, sequences: bool) -> None:
        """Opens nothing yet.

        Args:
            folder: existing folder to write into.
            name: TFDS name of the set.
            layers: all layers of the set; a picture may lack some.
            shard_bytes: target size of a file of records in bytes; it ends with the example that reaches it.
            sequences: whether the pictures are frames of sequences.

        Raises:
            UserError: TFDS or array_record is not installed.
        """
        self._tfds, self._array_record = load_tfds(), load_array_record()
        self._folder, self._name, self._limit = folder, name, shard_bytes
        self._layers = list(layers)
        self._texts = ["name", *(["sequence"] if sequences else [])]
        self._writer: Any = None
        self._bytes = 0
        self._sizes: dict[str, SplitSize] = {}
        self._images: Counter[str] = Counter()
        features = self._features(self._images)
        self._serializer = self._tfds.core.example_serializer.ExampleSerializer(features.get_serialized_info())

    def add(
        self, split: str, picture: IndexedPicture, files: Mapping[str, bytes], *, images: Iterable[str] = ()
    ) -> None:
        """Writes one example. All examples of a split follow one another.

        Args:
            split: name of the split.
            picture: names of the picture and its files.
            files: layer -> encoded file.
            images: layers whose file every reader of images decodes to the same pixels, see `features.is_plain`.
        """
        values: dict[str, Any] = {"name": _utf8(picture.name), "sequence": _utf8(picture.sequence)}
        example = {name: values[name] for name in self._texts}
        names = {layer: _utf8(file.name) for layer, file in picture.files.items()}
        example |= _nest({layer: files.get(layer, b"") for layer in self._layers})
        example["files"] = _nest({layer: names.get(layer, b"") for layer in self._layers})
        record = self._serializer.serialize_example(example)
        if split not in self._sizes:
            self._close()
            self._sizes[split] = SplitSize([], 0)
        if self._writer is None or self._bytes >= self._limit:
            self._close()
            path = self._path(split, len(self._sizes[split].records))
            self._writer = self._array_record.ArrayRecordWriter(str(path), _OPTIONS)
            self._sizes[split].records.append(0)
            self._bytes = 0
        self._writer.write(record)
        self._bytes += len(record)
        self._sizes[split].records[-1] += 1
        self._sizes[split] = self._sizes[split]._replace(bytes=self._sizes[split].bytes + len(record))
        self._images.update(images)

    def finish(self, version: str, index: SetIndex, facts: Mapping[str, Any]) -> dict[str, SplitSize]:
        """Closes the files, names them as TFDS does, and writes the description.

        Args:
            version: version of the set.
            index: index of its pictures; the sizes of the files are added.
            facts: "title", "published" and "license" (either may be empty), and others to store with the index.

        Returns:
            Split -> size.
        """
        self._close()
        core = self._tfds.core
        for split, size in self._sizes.items():
            for number in range(len(size.records)):
                path = self._path(split, number)
                path = path.rename(path.with_name(f"{path.name}-of-{len(size.records):05}"))
                index.bytes[path.name] = path.stat().st_size
        info = core.DatasetInfo(
            builder=core.DatasetIdentity(
                name=self._name, version=core.Version(version), data_dir=str(self._folder), module_name=__name__
            ),
            description=facts["title"],
            homepage=f"https://{facts['published'].split()[0]}" if facts["published"] else None,
            license=facts["license"] or None,
            features=self._features(self._images),
            metadata=core.MetadataDict({KEY: {**facts, **index.to_metadata()}}),
            disable_shuffling=True,
        )
        info.set_file_format(FORMAT)
        template = core.ShardedFileTemplate(dataset_name=self._name, data_dir=self._folder, filetype_suffix=FORMAT)
        info.set_splits(
            core.SplitDict(
                [
                    core.SplitInfo(
                        name=split, shard_lengths=size.records, num_bytes=size.bytes, filename_template=template
                    )
                    for split, size in self._sizes.items()
                ]
            )
        )
        info.write_to_directory(self._folder)
        return self._sizes

    def abandon(self) -> None:
        """Closes the open file, after an error."""
        self._close()

    def _features(self, images: Counter[str]) -> Any:
        """Returns the features: images where all files of a layer are images to any reader, otherwise byte strings."""
        features = self._tfds.features
        total = sum(sum(size.records) for size in self._sizes.values())
        layers: dict[str, Any] = {}
        for layer in self._layers:
            if total and images[layer] == total:
                shape = (None, None, 1 if "labels" in layer else 3)
                layers[layer] = features.Image(shape=shape, doc=_ORIGINAL)
            else:
                layers[layer] = features.Text(doc=f"{_ORIGINAL}, encoded; empty if the picture lacks it")
        files = {layer: features.Text(doc="name of the file in the original set") for layer in self._layers}
        texts = {name: features.Text() for name in self._texts}
        return features.FeaturesDict({**texts, **_nest(layers), "files": _nest(files)})

    def _path(self, split: str, number: int) -> Path:
        return self._folder / f"{self._name}-{split}.{FORMAT}-{number:05}"

    def _close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def _nest(values: Mapping[str, Any]) -> dict[str, Any]:
    """Turns `mask/skin` into a key of a key, as TFDS has it."""
    nested: dict[str, Any] = {}
    for name, value in values.items():
        outer, _, inner = name.partition("/")
        if inner:
            nested.setdefault(outer, {})[inner] = value
        else:
            nested[name] = value
    return nested


def _utf8(name: str) -> bytes:
    # File names from archives of other systems may not be UTF-8; their bytes are kept.
    return name.encode("utf-8", "surrogateescape")
