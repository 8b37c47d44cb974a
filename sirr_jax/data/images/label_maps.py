"""Label images: one class index for each pixel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import BinaryIO

import numpy as np
from PIL import Image

from sirr_jax.data.images.decode import UnreadableImageError, image_size, read_image
from sirr_jax.data.images.image_file import ImageFile, PackedFile
from sirr_jax.errors import UserError

# Pillow spreads gray values of two and four bits over 0 to 255, which is right for pictures and wrong for indices.
_SPREAD = {"L;2": 85, "L;4": 17}


# Label k + 1 is drawn over the labels before it.
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
    """Reads a label image's header.

    Args:
      path: The file.

    Returns:
      Whether the indices come with a palette, as those of PASCAL VOC; False for plain gray files.

    Raises:
      UserError: The file is no label image: color, transparency, more than 8 bits, or compressed with losses.
      UnreadableImageError: The file is missing or its header is not that of an image.
    """
    image_size(path)  # says in one line what is wrong with a file that does not open
    with Image.open(_source(path)) as image:
        mode, kind = image.mode, image.format
    if mode in ("RGB", "RGBA", "CMYK", "YCbCr"):
        raise UserError(f"{path}: a color image ({mode}) where class indices belong; convert the colors to indices")
    if mode not in ("1", "L", "P"):
        raise UserError(f"{path}: of mode {mode}; labels are single-channel images of 8-bit indices: convert the file")
    if kind == "JPEG":
        raise UserError(f"{path}: JPEG changes class indices; take the labels from their source, as PNG")
    return mode == "P"


def read_labels(path: str | ImageFile, classes: int, *, ignore: int | None = 255) -> np.ndarray:
    """Reads the class indices of a single-channel image; of a palette image, the indices and not the colors.

    Args:
      path: The file.
      classes: Number of classes.
      ignore: A further value that may occur, for pixels without a class; None if there is none.

    Returns:
      uint8 `[height, width]`: 0 to `classes - 1`, or `ignore`.

    Raises:
      UserError: The file is no label image, or holds other values; the message names them.
      UnreadableImageError: The file is missing, truncated or damaged.
    """
    uses_palette(path)
    try:
        with Image.open(_source(path)) as image:
            spread = _SPREAD.get(image.tile[0][3] if image.tile else None, 1)
            labels = np.array(image).astype(np.uint8) // np.uint8(spread)
    except Exception as error:  # Pillow's decoders raise almost every built-in error on damaged data
        raise UnreadableImageError(
            f"{path}: the labels are truncated or damaged ({error}); replace the file"
        ) from error
    values = np.unique(labels)
    strange = values[(values >= classes) & ~np.isin(values, [] if ignore is None else [ignore])]
    if strange.size:
        listed = ", ".join(map(str, strange[:8])) + (", ..." if strange.size > 8 else "")
        also = "" if ignore is None else f", or {ignore} to ignore"
        raise UserError(
            f"{path}: holds the label{'s' * (strange.size > 1)} {listed}; expected 0 to {classes - 1}{also}"
        )
    return labels


def read_face_parts(parts: Mapping[str, str | ImageFile]) -> np.ndarray:
    """Draws the masks of CelebAMask-HQ over one another, in the order of `FACE_PARTS`.

    Masks are white (255, or 225 where a palette rounded it) on black, in color or not.

    Args:
      parts: Name of a part to its mask; at least one.

    Returns:
      uint8 `[height, width]`: 0 for background, k for `FACE_PARTS[k - 1]`.

    Raises:
      UserError: An unknown part, no part, or masks of different sizes.
      UnreadableImageError: A mask cannot be decoded.
    """
    unknown = sorted(parts.keys() - set(FACE_PARTS))
    if unknown or not parts:
        given = repr(unknown[0]) if unknown else "no part"
        raise UserError(f"{given} as a face's mask; expected one or more of {', '.join(FACE_PARTS)}")
    labels: np.ndarray | None = None
    for index, name in enumerate(FACE_PARTS, start=1):
        if name not in parts:
            continue
        mask = read_image(parts[name])[..., 0] > 127
        if labels is None:
            labels = np.zeros(mask.shape, np.uint8)
        if mask.shape != labels.shape:
            raise UserError(
                f"{parts[name]} is {mask.shape[1]}x{mask.shape[0]} pixels and the masks before it "
                f"{labels.shape[1]}x{labels.shape[0]}: the masks of a face must have one size"
            )
        labels[mask] = index
    assert labels is not None
    return labels


def _source(file: str | ImageFile) -> str | ImageFile | BinaryIO:
    return file.open() if isinstance(file, PackedFile) else file
