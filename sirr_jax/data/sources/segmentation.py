"""Photographs with a class for each pixel, from any set that has labels."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np

from sirr_jax.data.find_dataset import FoundSet, find_set
from sirr_jax.data.images.crops import resize_labels
from sirr_jax.data.images.decode import UnreadableImageError
from sirr_jax.data.images.image_file import ImageFile
from sirr_jax.data.images.label_maps import FACE_PARTS, read_face_parts, read_labels
from sirr_jax.data.images.label_spaces import ADE20K, ANY, CITYSCAPES_IDS, CITYSCAPES_TRAIN_IDS, LabelSpace
from sirr_jax.data.images.reader import FileReader, OnCorrupt, check_large_enough
from sirr_jax.data.layouts.layer_folders import check_equal_sizes
from sirr_jax.errors import UserError

NO_CLASS = 255
"""The label of pixels that have no class, in every source."""

# Cityscapes' 19 classes among its labelIds, in the order of their trainIds.
_TRAINED_IDS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
_MASK = "mask/"


class LabelledSource(Protocol):
    """Photographs with labels by index. Reading must depend on the index alone and be safe from several threads."""

    @property
    def classes(self) -> int:
        """Number of classes, at most 255."""
        ...

    def __len__(self) -> int:
        """Number of photographs."""
        ...

    def name(self, index: int) -> str:
        """What messages call a photograph."""
        ...

    def read(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Decodes a photograph, uint8 `[h, w, 3]`, and its labels, uint8 `[h, w]`, 255 where there is no class."""
        ...


class FolderLabelled:
    """The labelled photographs of a set, in folders or packed, in natural order of their names.

    The set is any that `sirr_jax.data.find_dataset` finds whose pictures have labels: PASCAL VOC, Cityscapes, ADE20K,
    COCO-Stuff, CelebAMask-HQ, SR-Net's `img` and `seg`, SGRRN's five folders (of which the background is read);
    `ROOT#PART` chooses a part. Labels are those of the set, except that

    * Cityscapes' labelIds become trainIds: 19 classes;
    * of ADE20K's 151 values 0, for unlabelled, becomes 255, and the classes count from 0: 150 classes;
    * face parts are drawn over one another, see `images.label_maps`: 19 classes with the background. The masks are
      smaller than the photographs and are enlarged by nearest pixels.

    A clean photograph behind several degraded ones is taken once.
    """

    def __init__(
        self, where: str | Path, *, crop: int = 1, on_corrupt: OnCorrupt = "error", classes: int | None = None
    ) -> None:
        """Finds the photographs and their labels, and checks headers and sizes.

        Args:
          where: The set.
          crop: Shortest side a photograph may have, in pixels.
          on_corrupt: What to do with a picture of which a file cannot be decoded, labels have impossible values, or
            photograph and labels differ in size or are too small: "error" raises; "skip" logs one warning per file,
            leaves pictures of wrong size out, and `read` gives the next picture in the place of the others.
          classes: Number of classes; None for as many as the set states, or 255 for sets that state none (`img` and
            `seg`).

        Raises:
          UserError: There is no such set, its pictures have no labels, or it has another number of classes; sizes
            differ or are smaller than the crop, or a header is unreadable, and `on_corrupt` is "error"; or no picture
            is left.
        """
        self._where = str(where)
        self._reader = FileReader(Path(where), on_corrupt)
        found = find_set(where, skip=on_corrupt == "skip")
        pictures = _pictures(found, self._where)
        self._spaces = {files["labels"]: _space(found, files["labels"]) for files in pictures if "labels" in files}
        self._classes = self._count_classes(classes)
        self._pictures = [files for files in pictures if self._is_usable(files, crop)]
        if not self._pictures:
            raise UserError(f"{where}: not one picture is left; `sirr data check {where}` says what is wrong with them")

    @property
    def classes(self) -> int:
        """Number of classes."""
        return self._classes

    def __len__(self) -> int:
        return len(self._pictures)

    def name(self, index: int) -> str:
        """Path of a photograph."""
        return str(self._pictures[index]["transmission"])

    def read(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Decodes a photograph, uint8 `[h, w, 3]`, and its labels, uint8 `[h, w]`.

        Raises:
          UserError: A file cannot be decoded, holds impossible labels or has another size than its header says, and
            `on_corrupt` is "error"; or no picture can be read.
        """
        return self._reader.first_readable(index, len(self), self._read_picture)

    def _read_picture(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        files = self._pictures[index]
        photo = self._reader.image(files["transmission"])
        try:
            return photo, self._read_labels(files, photo.shape[:2])
        except UserError as error:
            # Raises unless such pictures are to be skipped; then any mistake in labels is as good as damage.
            self._reader.leave_out(_label_file(files), error)
            raise UnreadableImageError(str(error)) from error

    def _read_labels(self, files: dict[str, ImageFile], size: tuple[int, int]) -> np.ndarray:
        if "labels" not in files:
            masks = {layer.removeprefix(_MASK): file for layer, file in files.items() if layer.startswith(_MASK)}
            labels = read_face_parts(masks)
            _check_shape(_label_file(files), labels.shape, files["transmission"], size)
            return resize_labels(labels, size)
        file = files["labels"]
        space = self._spaces[file]
        if space == ANY:
            labels = read_labels(file, self._classes)
        else:
            labels = _in_classes(read_labels(file, space.classes, ignore=space.ignore), space)
        check_equal_sizes({files["transmission"]: size, file: labels.shape})
        return labels

    def _is_usable(self, files: dict[str, ImageFile], crop: int) -> bool:
        size = self._reader.size(files["transmission"])
        label_size = self._reader.size(_label_file(files))
        if size is None or label_size is None:
            return False
        try:
            check_large_enough(str(files["transmission"]), size, crop)
            if "labels" in files:
                check_equal_sizes({files["transmission"]: size, files["labels"]: label_size})
            else:
                _check_shape(_label_file(files), label_size, files["transmission"], size)
        except UserError as error:
            self._reader.leave_out(files["transmission"], error)
            return False
        return True

    def _count_classes(self, wanted: int | None) -> int:
        stated = {_classes(space) for space in self._spaces.values() if space != ANY}
        if not self._spaces:
            stated = {len(FACE_PARTS) + 1}
        if wanted is not None and not 2 <= wanted <= NO_CLASS:
            raise UserError(f"classes={wanted}: expected 2 to {NO_CLASS}")
        if not stated:
            return NO_CLASS if wanted is None else wanted
        if wanted is not None and wanted != max(stated):
            raise UserError(f"{self._where} has labels of {max(stated)} classes and not of {wanted}; give that number")
        return max(stated)


def _pictures(found: FoundSet, where: str) -> list[dict[str, ImageFile]]:
    """Photograph, and labels or masks, of every picture; each photograph once."""
    pictures: dict[ImageFile, dict[str, ImageFile]] = {}
    for entry in found.only_part():
        files = {
            layer: file
            for layer, file in entry.files.items()
            if layer in ("transmission", "labels") or layer.startswith(_MASK)
        }
        if "transmission" not in files or len(files) < 2:
            raise UserError(
                f"{where}: {found.layout.title}, whose pictures have {', '.join(entry.files)}; expected a photograph "
                "(transmission) and its labels"
            )
        pictures.setdefault(files["transmission"], files)
    return list(pictures.values())


def _label_file(files: dict[str, ImageFile]) -> ImageFile:
    return files["labels"] if "labels" in files else next(f for layer, f in files.items() if layer.startswith(_MASK))


def _space(found: FoundSet, file: ImageFile) -> LabelSpace:
    return found.layout.label_space(file) if found.layout.label_space else ANY


def _classes(space: LabelSpace) -> int:
    """Number of classes after `_in_classes`."""
    if space == CITYSCAPES_IDS:
        return CITYSCAPES_TRAIN_IDS.classes
    return space.classes - 1 if space == ADE20K else space.classes


def _in_classes(labels: np.ndarray, space: LabelSpace) -> np.ndarray:
    """Labels as a set has them -> 0 to the number of classes less one, or 255."""
    if space == CITYSCAPES_IDS:
        table = np.full(256, NO_CLASS, np.uint8)
        table[list(_TRAINED_IDS)] = np.arange(len(_TRAINED_IDS))
        return table[labels]
    if space == ADE20K:
        # Below 0 comes 255.
        return labels - np.uint8(1)
    return labels


def _check_shape(file: ImageFile, size: tuple[int, ...], photo: ImageFile, photo_size: tuple[int, int]) -> None:
    """Refuses masks that are not of the photograph's shape, up to a pixel of rounding."""
    if abs(size[0] * photo_size[1] - size[1] * photo_size[0]) >= max(photo_size):
        raise UserError(
            f"{file} is {size[1]}x{size[0]} pixels and {photo} is {photo_size[1]}x{photo_size[0]}: masks may be "
            "smaller than their photograph, but must have its shape"
        )
