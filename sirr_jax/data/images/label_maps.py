"""Label images: one class index per pixel."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image

from sirr_jax.data.images.decode import UnreadableImageError, image_size, read_image
from sirr_jax.data.images.image_file import ImageFile, PackedFile
from sirr_jax.data.images.passing_errors import is_passing, retried
from sirr_jax.errors import UserError

# Pillow scales 2-bit and 4-bit gray values to 0..255, which is right for pictures and wrong for class indices.
_SCALE: Mapping[object, int] = {"L;2": 85, "L;4": 17}


# Part k has label k + 1, and is drawn over the parts before it.
FACE_PARTS = (
    "skin",
    "l_brow",
    "r_brow",
    "l_eye",
    "r_eye",
    "eye_g",
    "l_ear",
    "r_ear",
    "ear_r",
    "nose",
    "mouth",
    "u_lip",
    "l_lip",
    "neck",
    "neck_l",
    "cloth",
    "hair",
    "hat",
)


def uses_palette(path: str | ImageFile) -> bool:
    """Returns whether a label image has a palette, and checks its header.

    Args:
        path: label image.

    Returns:
        True for palette images, such as those of PASCAL VOC; False for gray images.

    Raises:
        UserError: The file is not a label image: it has colors, transparency, more than 8 bits or lossy compression.
        UnreadableImageError: The file is missing or its header is not an image header.
    """
    image_size(path)  # raises a one-line error for a file that cannot be opened

    def read() -> tuple[str, str | None]:
        with Image.open(_source(path)) as image:
            return image.mode, image.format

    mode, file_format = retried(read, name=str(path))
    if mode in ("RGB", "RGBA", "CMYK", "YCbCr"):
        raise UserError(f"{path}: a color image ({mode}), expected class indices; convert the colors to indices")
    if mode not in ("1", "L", "P"):
        raise UserError(f"{path}: image mode {mode}, expected one channel of 8-bit class indices; convert the file")
    if file_format == "JPEG":
        raise UserError(f"{path}: JPEG compression changes class indices; use the original labels as PNG")
    return mode == "P"


def read_labels(path: str | ImageFile, classes: int, *, ignore: int | None = 255) -> np.ndarray:
    """Reads the class indices of a single-channel image; for a palette image the indices, not the colors.

    Args:
        path: label image.
        classes: number of classes.
        ignore: additional valid value, for pixels without a class; None if there is none.

    Returns:
        uint8 `[height, width]`: 0 to `classes - 1`, or `ignore`.

    Raises:
        UserError: The file is not a label image or contains other values; the message lists them.
        UnreadableImageError: The file is missing, truncated or damaged.
    """
    uses_palette(path)

    def read() -> np.ndarray:
        with Image.open(_source(path)) as image:
            scale = _SCALE.get(image.tile[0][3] if image.tile else None, 1)
            return np.array(image).astype(np.uint8) // np.uint8(scale)

    try:
        labels = retried(read, name=str(path))
    except Exception as error:  # Pillow's decoders raise almost every built-in error on damaged data
        if is_passing(error):
            raise
        raise UnreadableImageError(
            f"{path}: the labels are truncated or damaged ({error}); replace the file"
        ) from error
    values = np.unique(labels)
    invalid = values[(values >= classes) & ~np.isin(values, [] if ignore is None else [ignore])]
    if invalid.size:
        listed = ", ".join(map(str, invalid[:8])) + (", ..." if invalid.size > 8 else "")
        ignored = "" if ignore is None else f", or {ignore} for no class"
        raise UserError(
            f"{path}: contains the label{'s' * (invalid.size > 1)} {listed}; expected 0 to {classes - 1}{ignored}"
        )
    return labels


def read_face_parts(parts: Mapping[str, str | ImageFile]) -> np.ndarray:
    """Combines the masks of CelebAMask-HQ into a label map, drawn in the order of `FACE_PARTS`.

    Masks are white (255, or 225 after palette rounding) on black, in gray or color.

    Args:
        parts: part name -> mask file; at least one.

    Returns:
        uint8 `[height, width]`: 0 for background, k for `FACE_PARTS[k - 1]`.

    Raises:
        UserError: A part is unknown, there is no part, or the masks have different sizes.
        UnreadableImageError: A mask cannot be decoded.
    """
    unknown = sorted(parts.keys() - set(FACE_PARTS))
    if unknown or not parts:
        problem = f"unknown face part {unknown[0]!r}" if unknown else "no mask of a face part"
        raise UserError(f"{problem}; expected one or more of {', '.join(FACE_PARTS)}")
    labels: np.ndarray | None = None
    for index, name in enumerate(FACE_PARTS, start=1):
        if name not in parts:
            continue
        mask = read_image(parts[name])[..., 0] > 127
        if labels is None:
            labels = np.zeros(mask.shape, np.uint8)
        if mask.shape != labels.shape:
            raise UserError(
                f"{parts[name]} is {mask.shape[1]}x{mask.shape[0]} pixels and the previous masks "
                f"{labels.shape[1]}x{labels.shape[0]}: all masks of a face must have the same size"
            )
        labels[mask] = index
    assert labels is not None
    return labels


def _source(file: str | ImageFile) -> str | Path | IO[bytes]:
    return file.open() if isinstance(file, PackedFile) else file
