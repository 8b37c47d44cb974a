"""Photos with a class per pixel, from any data set that has labels."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np

from sirr_jax.data.find_dataset import FoundSet, find_set
from sirr_jax.data.images.crops import resize_labels
from sirr_jax.data.images.decode import UnreadableImageError
from sirr_jax.data.images.image_file import ImageFile
from sirr_jax.data.images.label_maps import FACE_PARTS, read_face_parts, read_labels
from sirr_jax.data.images.label_spaces import ADE20K, ANY, CITYSCAPES_IDS, CITYSCAPES_TRAIN_IDS, FACES, LabelSpace
from sirr_jax.data.images.reader import FileReader, OnCorrupt, check_large_enough
from sirr_jax.data.layouts.layer_folders import check_equal_sizes
from sirr_jax.errors import UserError

NO_CLASS = 255
"""Label of pixels without a class, in every source."""

# labelIds of the 19 classes of Cityscapes, in the order of their trainIds.
_TRAIN_LABEL_IDS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
_MASK = "mask/"


class LabelledSource(Protocol):
    """Photos with labels by index. Reading must depend on the index alone and be thread-safe."""

    @property
    def classes(self) -> int:
        """Number of classes, at most 255."""
        ...

    def __len__(self) -> int:
        """Returns the number of photos."""
        ...

    def name(self, index: int) -> str:
        """Returns the name of a photo in messages."""
        ...

    def read(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Decodes a photo, uint8 `[h, w, 3]`, and its labels, uint8 `[h, w]` with 255 for no class."""
        ...


class FolderLabelled:
    """The labelled photos of a data set, in folders or in a TFDS set, in natural order of their names.

    The set is any set that `sirr_jax.data.find_dataset` finds and whose pictures have labels: PASCAL VOC, Cityscapes,
    ADE20K, COCO-Stuff, CelebAMask-HQ, SR-Net's `img` and `seg`, SGRRN's five folders (the background is read).
    `ROOT#PART` selects a part. Labels are those of the set, with these exceptions:

    * Cityscapes: labelIds become trainIds, 19 classes.
    * ADE20K: value 0 (unlabelled) becomes 255, and classes count from 0, 150 classes.
    * CelebAMask-HQ: masks of face parts are combined (see `images.label_maps`), 19 classes with the background. They
      are smaller than the photos and are upscaled by nearest neighbor.

    A clean photo with several degraded versions counts once.
    """

    def __init__(
        self, where: str | Path, *, crop: int = 1, on_corrupt: OnCorrupt = "error", classes: int | None = None
    ) -> None:
        """Finds the photos and their labels, and checks headers and sizes.

        Args:
            where: data set.
            crop: minimum short side of a photo in pixels.
            on_corrupt: rule for pictures with an undecodable file, invalid label values, different sizes of photo and
                labels, or a size below the crop. "error" raises an error; "skip" logs one warning per file, leaves
                pictures of wrong size out, and `read` returns the next picture instead of the others.
            classes: number of classes; None for the number of the layout, or 255 for layouts without a fixed number
                (`img` and `seg`).

        Raises:
            UserError: There is no such set, its pictures have no labels, it has another number of classes, or no
                picture is left. With `on_corrupt` "error" also: sizes differ or are below the crop, or a header is
                unreadable.
        """
        self._where = str(where)
        self._reader = FileReader(Path(where), on_corrupt)
        dataset = find_set(where, skip=on_corrupt == "skip")
        pictures = _pictures(dataset, self._where)
        self._spaces = {files["labels"]: _space(dataset, files["labels"]) for files in pictures if "labels" in files}
        self._classes = self._count_classes(classes)
        self._pictures = [files for files in pictures if self._is_usable(files, crop)]
        if not self._pictures:
            raise UserError(f"{where}: no usable picture is left; `sirr data check {where}` lists the problems")

    @property
    def classes(self) -> int:
        """Number of classes."""
        return self._classes

    def __len__(self) -> int:
        return len(self._pictures)

    def name(self, index: int) -> str:
        """Returns the path of a photo."""
        return str(self._pictures[index]["transmission"])

    def read(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Decodes a photo, uint8 `[h, w, 3]`, and its labels, uint8 `[h, w]`.

        Raises:
            UserError: A file cannot be decoded, contains invalid labels or differs in size from its header, and
                `on_corrupt` is "error"; or no picture can be read.
        """
        return self._reader.first_readable(index, len(self), self._read_picture)

    def _read_picture(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        files = self._pictures[index]
        photo = self._reader.image(files["transmission"])
        try:
            return photo, self._read_labels(files, photo.shape[:2])
        except UserError as error:
            # Raises the error unless such pictures are skipped; then invalid labels count as damage.
            self._reader.leave_out(_label_file(files), error)
            raise UnreadableImageError(str(error)) from error

    def _read_labels(self, files: dict[str, ImageFile], size: tuple[int, int]) -> np.ndarray:
        if "labels" not in files:
            masks = {layer.removeprefix(_MASK): file for layer, file in files.items() if layer.startswith(_MASK)}
            return _to_size(read_face_parts(masks), _label_file(files), files["transmission"], size)
        file = files["labels"]
        space = self._spaces[file]
        if space == ANY:
            labels = read_labels(file, self._classes)
        else:
            labels = _to_classes(read_labels(file, space.classes, ignore=space.ignore), space)
        if space == FACES:
            return _to_size(labels, file, files["transmission"], size)
        check_equal_sizes({files["transmission"]: size, file: labels.shape})
        return labels

    def _is_usable(self, files: dict[str, ImageFile], crop: int) -> bool:
        size = self._reader.size(files["transmission"])
        label_size = self._reader.size(_label_file(files))
        if size is None or label_size is None:
            return False
        try:
            check_large_enough(str(files["transmission"]), size, crop)
            if self._spaces.get(_label_file(files), FACES) != FACES:
                check_equal_sizes({files["transmission"]: size, _label_file(files): label_size})
            else:
                _check_shape(_label_file(files), label_size, files["transmission"], size)
        except UserError as error:
            self._reader.leave_out(files["transmission"], error)
            return False
        return True

    def _count_classes(self, requested: int | None) -> int:
        stated = {_classes(space) for space in self._spaces.values() if space != ANY}
        if not self._spaces:
            stated = {len(FACE_PARTS) + 1}
        if requested is not None and not 2 <= requested <= NO_CLASS:
            raise UserError(f"config.data.classes={requested}: expected 2 to {NO_CLASS}")
        if not stated:
            return NO_CLASS if requested is None else requested
        if requested is not None and requested != max(stated):
            raise UserError(
                f"{self._where} has labels of {max(stated)} classes, but config.data.classes={requested}; "
                f"set it to {max(stated)}"
            )
        return max(stated)


def _pictures(dataset: FoundSet, where: str) -> list[dict[str, ImageFile]]:
    """Returns layer -> file (photo, and labels or masks) of every picture, with each photo once."""
    pictures: dict[ImageFile, dict[str, ImageFile]] = {}
    for entry in dataset.only_part():
        files = {
            layer: file
            for layer, file in entry.files.items()
            if layer in ("transmission", "labels") or layer.startswith(_MASK)
        }
        if "transmission" not in files or len(files) < 2:
            raise UserError(
                f"{where}: {dataset.layout.title}, whose pictures have {', '.join(entry.files)}; expected a photo "
                "(transmission) and its labels"
            )
        pictures.setdefault(files["transmission"], files)
    return list(pictures.values())


def _label_file(files: dict[str, ImageFile]) -> ImageFile:
    return files["labels"] if "labels" in files else next(f for layer, f in files.items() if layer.startswith(_MASK))


def _space(dataset: FoundSet, file: ImageFile) -> LabelSpace:
    return dataset.layout.label_space(file) if dataset.layout.label_space else ANY


def _classes(space: LabelSpace) -> int:
    """Returns the number of classes after `_to_classes`."""
    if space == CITYSCAPES_IDS:
        return CITYSCAPES_TRAIN_IDS.classes
    return space.classes - 1 if space == ADE20K else space.classes


def _to_classes(labels: np.ndarray, space: LabelSpace) -> np.ndarray:
    """Converts the labels of a data set to 0..classes - 1, or 255 for no class."""
    if space == CITYSCAPES_IDS:
        table = np.full(256, NO_CLASS, np.uint8)
        table[list(_TRAIN_LABEL_IDS)] = np.arange(len(_TRAIN_LABEL_IDS))
        return table[labels]
    if space == ADE20K:
        # uint8 wraps around: 0 becomes 255.
        return labels - np.uint8(1)
    return labels


def _to_size(labels: np.ndarray, file: ImageFile, photo: ImageFile, size: tuple[int, int]) -> np.ndarray:
    """Enlarges the labels of a face, which may be smaller than their photo."""
    _check_shape(file, labels.shape, photo, size)
    return resize_labels(labels, size)


def _check_shape(file: ImageFile, size: tuple[int, ...], photo: ImageFile, photo_size: tuple[int, int]) -> None:
    """Raises an error for masks whose aspect ratio differs from that of the photo by more than a pixel."""
    if abs(size[0] * photo_size[1] - size[1] * photo_size[0]) >= max(photo_size):
        raise UserError(
            f"{file} is {size[1]}x{size[0]} pixels and {photo} is {photo_size[1]}x{photo_size[0]}: masks may be "
            "smaller than their photo, but must have its aspect ratio"
        )
