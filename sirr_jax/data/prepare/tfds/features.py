"""One picture of a data set -> what TFDS stores of it, pixel for pixel what the rest of the project reads."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import Any

import numpy as np
from PIL import Image

from sirr_jax.data.images.decode import read_image
from sirr_jax.data.images.label_maps import FACE_PARTS, read_face_parts, read_labels
from sirr_jax.data.images.label_spaces import LabelSpace
from sirr_jax.data.layouts.base import Entry, Layout
from sirr_jax.data.layouts.layer_folders import check_equal_sizes
from sirr_jax.errors import UserError

LABEL_LAYERS = ("labels", "reflection_labels")
FACES = LabelSpace("CelebAMask-HQ", 1 + len(FACE_PARTS), ignore=None)
_MASK = "mask/"


def check_layers(entries: Iterable[Entry], layers: Iterable[str], name: str) -> None:
    """Refuses pictures that lack a layer.

    Args:
      entries: The pictures.
      layers: What each must have; masks of parts of a face stand for "labels".
      name: Data set and config, for the message.

    Raises:
      UserError: Names the first picture and layer.
    """
    for entry in entries:
        has = {"labels" if layer.startswith(_MASK) else layer for layer in entry.files}
        missing = [layer for layer in layers if layer not in has]
        if missing:
            raise UserError(
                f"{next(iter(entry.files.values()))} has no {missing[0]}, which {name} needs; choose another config"
            )


def label_space(layout: Layout, entries: Iterable[Entry], layers: Iterable[str]) -> LabelSpace | None:
    """Finds what the labels of a set mean.

    Args:
      layout: What the set was recognized as.
      entries: Its pictures, with all the layers.
      layers: The layers that are read.

    Returns:
      The space; None if no layer is of labels.

    Raises:
      UserError: The files have labels of several spaces: Cityscapes' labelIds and labelTrainIds.
    """
    labelled = [layer for layer in layers if layer in LABEL_LAYERS]
    if not labelled:
        return None
    if layout.label_space is None:
        return FACES
    firsts = {layout.label_space(entry.files[layer]): entry.files[layer] for entry in entries for layer in labelled}
    if len(firsts) > 1:
        (one, path), (other, other_path) = list(firsts.items())[:2]
        raise UserError(
            f"{path} has labels of {one.title} and {other_path} of {other.title}: give all pictures labels of one kind"
        )
    return next(iter(firsts))


def read_example(layout: Layout, entry: Entry, layers: Iterable[str]) -> dict[str, Any]:
    """Reads the layers of one picture, as PNG in memory.

    TFDS would encode arrays too, but with TensorFlow, one session run each.

    Args:
      layout: What the set was recognized as.
      entry: The picture; it has all the layers.
      layers: The layers to read.

    Returns:
      "name", "sequence" for frames of one, and for each layer a file with uint8 [H, W, 3], or gray [H, W] for labels.

    Raises:
      UserError: The layers have different sizes, or labels other values than the layout's label space.
      UnreadableImageError: A file cannot be decoded.
    """
    images = {layer: _read(layout, entry, layer) for layer in layers}
    pictures = {
        entry.files[layer]: image.shape[:2]
        for layer, image in images.items()
        if not (layer in LABEL_LAYERS and layout.labels_may_differ)
    }
    check_equal_sizes(pictures)
    example: dict[str, Any] = {"name": entry.name}
    if entry.sequence:
        example["sequence"] = entry.sequence
    return example | {layer: _png(image) for layer, image in images.items()}


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
