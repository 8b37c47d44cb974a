"""Real multi-view sequences: `ROOT/<sequence>/{blended,transmission[,reflection]}/<frame>`, or in a TFDS set."""

from __future__ import annotations

import copy
import filecmp
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from sirr_jax.data.find_dataset import find_set, is_tfds
from sirr_jax.data.images.decode_cache import DecodeCache
from sirr_jax.data.images.image_file import ImageFile, PackedFile
from sirr_jax.data.images.passing_errors import is_passing
from sirr_jax.data.images.reader import FileReader, OnCorrupt, list_folder
from sirr_jax.data.layouts.layer_folders import check_equal_sizes, check_same_size, find_layers
from sirr_jax.data.layouts.matching import has_folders
from sirr_jax.data.layouts.sequence_folders import SEQUENCES, sequence_folders
from sirr_jax.errors import UserError

_LAYERS = {"blended": "mixture", "transmission": "transmission", "reflection": "reflection"}
_NO_BURST = "copies of one image are not a burst: use frames taken while the camera moves"


class FrameTriple(NamedTuple):
    """Three consecutive frames of the same size; each layer is three images, uint8 `[height, width, 3]`.

    Attributes:
        mixture: frames with the reflection.
        transmission: clean frames.
        reflection: frames of the reflection; None if the sequence has none.
    """

    mixture: tuple[np.ndarray, ...]
    transmission: tuple[np.ndarray, ...]
    reflection: tuple[np.ndarray, ...] | None


class SequenceSource(Protocol):
    """Sequences by index. Reading must depend on the arguments alone and be thread-safe."""

    def __len__(self) -> int:
        """Returns the number of sequences."""
        ...

    def name(self, index: int) -> str:
        """Returns the name of a sequence in messages."""
        ...

    def triples(self, index: int) -> int:
        """Returns the number of triples of consecutive frames: the number of frames minus two."""
        ...

    def read(self, index: int, first: int) -> FrameTriple:
        """Decodes the frames `first`, `first + 1` and `first + 2` of a sequence."""
        ...

    def held(self, memory: DecodeCache) -> SequenceSource:
        """Returns the same source with decoded frames cached in `memory`."""
        ...


class FolderSequences:
    """The sequences of a folder (one subfolder each) or of a TFDS set; frames are in natural order of their names."""

    def __init__(self, root: str | Path, *, crop: int = 1, on_corrupt: OnCorrupt = "error") -> None:
        """Finds the sequences and checks their file names, headers and sizes.

        Args:
            root: folder that contains the sequences, or TFDS set: its folder or `tfds:NAME`.
            crop: minimum short side of a frame in pixels.
            on_corrupt: rule for frames that cannot be decoded. "error" raises an error; "skip" logs one warning per
                file, and `read` returns a triple of the next readable sequence instead.

        Raises:
            UserError: There are no sequences; a sequence has fewer than three frames, three equal blended files in a
                row, layers with different frame names, or frames of different sizes or below the crop; or a header is
                unreadable and `on_corrupt` is "error".
        """
        root = Path(root)
        self._reader = FileReader(root, on_corrupt)
        sequences = _tfds_sequences(root) if is_tfds(root) else _folder_sequences(root)
        self._folders, self._layers = list(sequences), list(sequences.values())
        for folder, layers in sequences.items():
            _check_burst(folder, layers["mixture"])
            check_same_size(self._reader, [path for paths in layers.values() for path in paths], crop)

    def __len__(self) -> int:
        return len(self._folders)

    def name(self, index: int) -> str:
        """Returns the path of a sequence."""
        return str(self._folders[index])

    def triples(self, index: int) -> int:
        """Returns the number of triples of consecutive frames: the number of frames minus two."""
        return len(self._layers[index]["mixture"]) - 2

    def read(self, index: int, first: int) -> FrameTriple:
        """Decodes three consecutive frames of every layer.

        Args:
            index: index of the sequence.
            first: index of the first of the three frames, 0 to `triples(index) - 1`.

        Returns:
            The frames; the reflection is None if the sequence has none.

        Raises:
            UserError: A frame cannot be decoded and `on_corrupt` is "error", no sequence can be decoded, the three
                blended frames are equal, or the decoded sizes differ.
        """
        return self._reader.first_readable(index, len(self), lambda i: self._read_triple(i, first % self.triples(i)))

    def held(self, memory: DecodeCache) -> FolderSequences:
        """Returns the same source with decoded frames cached in `memory`."""
        source = copy.copy(self)
        source._reader = self._reader.held(memory)
        return source

    def _read_triple(self, index: int, first: int) -> FrameTriple:
        frames = {layer: paths[first : first + 3] for layer, paths in self._layers[index].items()}
        images = {layer: tuple(self._reader.image(path) for path in paths) for layer, paths in frames.items()}
        check_equal_sizes(
            {
                path: image.shape[:2]
                for layer, paths in frames.items()
                for path, image in zip(paths, images[layer], strict=True)
            }
        )
        before, middle, after = images["mixture"]
        if np.array_equal(before, middle) and np.array_equal(middle, after):
            raise UserError(f"{frames['mixture'][0]} and the two frames after it are equal; {_NO_BURST}")
        return FrameTriple(images["mixture"], images["transmission"], images.get("reflection"))


def _folder_sequences(root: Path) -> dict[Path, dict[str, list[ImageFile]]]:
    """Returns sequence -> layer -> frames."""
    if has_folders(root, "blended") and not SEQUENCES.recognize(root):
        raise UserError(f"{root} is itself a sequence; use the folder that contains the sequences")
    list_folder(root)  # raises an error about a missing folder
    folders = sequence_folders(SEQUENCES.home(root))
    if not folders:
        raise UserError(f"{root}: no sequences in this folder; expected <sequence>/blended/<frame> inside it")
    sequences: dict[Path, dict[str, list[ImageFile]]] = {}
    for name, folder in folders.items():
        layers = find_layers(folder, required=("blended", "transmission"), optional="reflection")
        sequences[root / name] = {_LAYERS[layer]: list(paths) for layer, paths in layers.items()}
    return sequences


def _tfds_sequences(root: Path) -> dict[Path, dict[str, list[ImageFile]]]:
    sequences: dict[Path, dict[str, list[ImageFile]]] = {}
    for entry in find_set(root).only_part():
        if not entry.sequence or not {"mixture", "transmission"} <= entry.files.keys():
            raise UserError(f"{root}: {entry.name} is not a frame of a sequence; expected a TFDS set of sequences")
        layers = sequences.setdefault(root / entry.sequence, {layer: [] for layer in entry.files})
        for layer, file in entry.files.items():
            layers[layer].append(file)
    return sequences


def _check_burst(folder: Path, mixtures: Sequence[ImageFile]) -> None:
    if len(mixtures) < 3:
        raise UserError(
            f"{folder} has {len(mixtures)} frame{'s' * (len(mixtures) != 1)}; a sequence needs three or more"
        )
    equal = [_same_bytes(one, other) for one, other in itertools.pairwise(mixtures)]
    for frame, pair in zip(mixtures, itertools.pairwise(equal), strict=False):
        if all(pair):
            raise UserError(f"{frame} and the two frames after it are the same file; {_NO_BURST}")


def _same_bytes(one: ImageFile, other: ImageFile) -> bool:
    if isinstance(one, PackedFile) or isinstance(other, PackedFile):
        return False  # compared when packing; comparing here would read every frame
    try:
        # Faster than digests: compares the sizes first and stops at the first block that differs.
        return filecmp.cmp(one, other, shallow=False)
    except OSError as error:  # reading the header raises the error
        if is_passing(error):
            raise
        return False
