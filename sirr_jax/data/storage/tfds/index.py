"""The index of a TFDS set that this project writes: names, sizes and label spaces, without reading the records.

It is the key `sirr_jax` of `metadata.json`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from sirr_jax.data.images.label_spaces import LabelSpace
from sirr_jax.errors import UserError

KEY = "sirr_jax"


@dataclass(frozen=True)
class IndexedFile:
    """One file of a picture.

    Attributes:
        name: path of the file in the original set, with `/`.
        size: height and width in pixels, as a viewer shows the picture.
        labels: label space of a label image; None for photos.
    """

    name: str
    size: tuple[int, int]
    labels: LabelSpace | None = None


@dataclass(frozen=True)
class IndexedPicture:
    """One example.

    Attributes:
        name: name of the picture.
        sequence: name of its sequence; empty for single pictures.
        files: layer, which names the feature -> file.
    """

    name: str
    sequence: str
    files: Mapping[str, IndexedFile]


@dataclass
class SetIndex:
    """The pictures of a TFDS set, in the order of its records.

    Attributes:
        parts: split -> name of the part in the original set; empty if the set has no parts.
        pictures: split -> pictures.
        bytes: file of records -> its size in bytes; empty if TFDS wrote the files.
    """

    parts: dict[str, str] = field(default_factory=dict)
    pictures: dict[str, list[IndexedPicture]] = field(default_factory=dict)
    bytes: dict[str, int] = field(default_factory=dict)

    def to_metadata(self) -> dict[str, Any]:
        """Returns the index as JSON values."""
        spaces: dict[LabelSpace, int] = {}
        pictures = {
            split: [
                [
                    picture.name,
                    picture.sequence,
                    {
                        layer: [
                            file.name,
                            *file.size,
                            *([spaces.setdefault(file.labels, len(spaces))] if file.labels else []),
                        ]
                        for layer, file in picture.files.items()
                    },
                ]
                for picture in listed
            ]
            for split, listed in self.pictures.items()
        }
        return {
            "parts": self.parts,
            "bytes": self.bytes,
            "label_spaces": [asdict(space) for space in spaces],
            "pictures": pictures,
        }

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, Any], path: Path) -> SetIndex:
        """Reads the index from the content of `metadata.json`.

        Args:
            metadata: content of the file, with the key `sirr_jax`.
            path: the file, for messages.

        Raises:
            UserError: The index is damaged.
        """
        try:
            content = metadata[KEY]
            spaces = [LabelSpace(**space) for space in content["label_spaces"]]
            pictures = {
                split: [
                    IndexedPicture(
                        name,
                        sequence,
                        {
                            layer: IndexedFile(file[0], (file[1], file[2]), spaces[file[3]] if file[3:] else None)
                            for layer, file in files.items()
                        },
                    )
                    for name, sequence, files in listed
                ]
                for split, listed in content["pictures"].items()
            }
            return cls(dict(content["parts"]), pictures, {name: int(n) for name, n in content["bytes"].items()})
        except (TypeError, KeyError, IndexError, ValueError, AttributeError) as error:
            raise UserError(f"{path}: damaged ({error!r}); copy or prepare the set again") from None
