"""Conversion of one picture to a TFDS example with exactly the pixels that the rest of the project reads."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from sirr_jax.data.images.decode import read_image
from sirr_jax.data.images.image_file import relative_name
from sirr_jax.data.images.label_maps import read_face_parts, read_labels
from sirr_jax.data.images.label_spaces import FACES, LabelSpace
from sirr_jax.data.layouts.base import Entry, Layout
from sirr_jax.data.layouts.layer_folders import check_equal_sizes
from sirr_jax.data.storage.tfds.index import IndexedFile, IndexedPicture
from sirr_jax.errors import UserError

LABEL_LAYERS = ("labels", "reflection_labels")
_MASK = "mask/"


class Example(NamedTuple):
    """One picture.

    Attributes:
        picture: names and sizes, for the index.
        values: feature -> value.
    """

    picture: IndexedPicture
    values: dict[str, Any]


def check_layers(entries: Iterable[Entry], layers: Iterable[str], name: str) -> None:
    """Raises an error for pictures that lack a layer.

    Args:
        entries: pictures.
        layers: required layers; masks of face parts count as "labels".
        name: data set and config, for the message.

    Raises:
        UserError: A picture lacks a layer; the message names the first one.
    """
    for entry in entries:
        present = {"labels" if layer.startswith(_MASK) else layer for layer in entry.files}
        missing = [layer for layer in layers if layer not in present]
        if missing:
            raise UserError(
                f"{next(iter(entry.files.values()))} has no {missing[0]}, which {name} needs; choose another config"
            )


def label_space(layout: Layout, entries: Iterable[Entry], layers: Iterable[str]) -> LabelSpace | None:
    """Returns the label space of a data set.

    Args:
        layout: recognized layout.
        entries: pictures, with all of `layers`.
        layers: layers to read.

    Returns:
        The label space; None if no layer contains labels.

    Raises:
        UserError: The files have different label spaces, such as labelIds and labelTrainIds of Cityscapes.
    """
    label_layers = [layer for layer in layers if layer in LABEL_LAYERS]
    if not label_layers:
        return None
    if layout.label_space is None:
        return FACES
    firsts = {layout.label_space(entry.files[layer]): entry.files[layer] for entry in entries for layer in label_layers}
    if len(firsts) > 1:
        (one, path), (other, other_path) = list(firsts.items())[:2]
        raise UserError(
            f"{path} has labels of {one.title} and {other_path} of {other.title}: "
            "all pictures must have the same kind of labels"
        )
    return next(iter(firsts))


def read_example(layout: Layout, root: Path, entry: Entry, layers: Iterable[str]) -> Example:
    """Reads the layers of one picture as PNG files in memory.

    TFDS can encode arrays itself, but it needs TensorFlow and one session run per array.

    Args:
        layout: recognized layout.
        root: folder of the set.
        entry: picture with all of `layers`.
        layers: layers to read.

    Returns:
        The picture; its values are "name", "sequence" for frames of a sequence, and for each layer a PNG file, uint8
        [H, W, 3], or [H, W] for labels.

    Raises:
        UserError: The layers have different sizes, or labels have values outside the label space of the layout.
        UnreadableImageError: A file cannot be decoded.
    """
    images = {layer: _read(layout, entry, layer) for layer in layers}
    pictures = {
        entry.files[layer]: image.shape[:2]
        for layer, image in images.items()
        if not (layer in LABEL_LAYERS and layout.labels_may_differ)
    }
    check_equal_sizes(pictures)
    values: dict[str, Any] = {"name": entry.name}
    if entry.sequence:
        values["sequence"] = entry.sequence
    files = {
        # One label map stands for all masks of a face.
        layer: IndexedFile(
            relative_name(entry.files[layer], root) if layer in entry.files else f"{layer}/{entry.name}",
            (image.shape[0], image.shape[1]),
            label_space(layout, (entry,), (layer,)),
        )
        for layer, image in images.items()
    }
    picture = IndexedPicture(entry.name, entry.sequence, files)
    return Example(picture, values | {layer: _png(image) for layer, image in images.items()})


def _read(layout: Layout, entry: Entry, layer: str) -> np.ndarray:
    if layer not in LABEL_LAYERS:
        return read_image(entry.files[layer])
    if layout.label_space is None:
        parts = {key.removeprefix(_MASK): file for key, file in entry.files.items() if key.startswith(_MASK)}
        return read_face_parts(parts)
    space = layout.label_space(entry.files[layer])
    return read_labels(entry.files[layer], space.classes, ignore=space.ignore)


def _png(image: np.ndarray) -> io.BytesIO:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG", compress_level=3)
    file.seek(0)
    return file
