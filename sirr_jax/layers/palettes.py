"""Class colors: conversion of label maps to color images and back.

Sources: the bit palette of PASCAL VOC (SGRRN specification, section 9.4); the palette of CelebAMask-HQ, which SR-Net's
published figures show with red and blue swapped (SR-Net specification, sections 2.2 and 6).
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from sirr_jax.errors import UserError

Array = np.ndarray | jax.Array

_FACES = (
    *((0, 0, 0), (0, 0, 153), (76, 153, 0), (204, 204, 0), (51, 51, 255), (204, 0, 204), (0, 255, 255)),
    *((51, 255, 255), (102, 51, 0), (255, 0, 0), (102, 204, 0), (255, 255, 0), (255, 153, 51), (0, 0, 204)),
    *((255, 51, 153), (0, 204, 204), (0, 51, 0), (204, 0, 0), (0, 204, 0)),
)
# Color 255 of the bit palette, which the label images of VOC have around objects.
_NO_CLASS = (224, 224, 192)


def palette(classes: int, *, bgr: bool = False) -> np.ndarray:
    """Returns the palette that SR-Net uses: that of CelebAMask-HQ for 19 classes, otherwise the bit palette of VOC.

    Args:
        classes: number of classes, 1 to 256.
        bgr: whether to swap red and blue, as in SR-Net's published figures.

    Returns:
        uint8 [classes, 3], RGB (or BGR); all colors differ.

    Raises:
        UserError: `classes` is out of range.
    """
    if not 1 <= classes <= 256:
        raise UserError(f"a palette of {classes} colors: expected 1 to 256 classes, the range of 8-bit labels")
    colors = np.array(_FACES, np.uint8) if classes == len(_FACES) else bit_palette(classes)
    return np.ascontiguousarray(colors[:, ::-1]) if bgr else colors


def bit_palette(classes: int) -> np.ndarray:
    """Returns the palette of PASCAL VOC: the bits of a class index go to red, green and blue in turn, high bits first.

    Args:
        classes: number of classes, up to 256.

    Returns:
        uint8 [classes, 3], RGB.
    """
    numbers = np.arange(classes)
    colors = np.zeros((classes, 3), np.uint8)
    for bit in range(8):
        channel, place = bit % 3, 7 - bit // 3
        colors[:, channel] |= (((numbers >> bit) & 1) << place).astype(np.uint8)
    return colors


def colorize(labels: Array, colors: np.ndarray) -> Array:
    """Converts labels to colors.

    Args:
        labels: integers [...]; a NumPy array, or a JAX array or tracer.
        colors: uint8 [C, 3], see `palette`.

    Returns:
        uint8 [..., 3], of the array type of the labels. Labels outside 0 to C - 1, such as 255 for pixels without a
        class, become light gray (224, 224, 192).
    """
    xp = jnp if isinstance(labels, jax.Array) else np
    count = len(colors)
    table = xp.asarray(np.concatenate([colors, np.array([_NO_CLASS], np.uint8)]))
    numbers = xp.asarray(labels).astype(xp.int32)
    return table[xp.where((numbers >= 0) & (numbers < count), numbers, count)]


def to_labels(picture: Array, colors: np.ndarray) -> Array:
    """Converts colors to the class of the nearest color (Euclidean distance in RGB; the lower class of a tie).

    Args:
        picture: [..., 3] in [0, 255], of any data type; a NumPy array, or a JAX array or tracer.
        colors: uint8 [C, 3], see `palette`.

    Returns:
        uint8 [...], 0 to C - 1, of the array type of the picture.
    """
    # The squared distance without the square of the pixel, which is the same for all classes: one matrix product
    # instead of an array of all differences. It is exact in float32 for integers of this size.
    table = colors.astype(np.float32)
    squares = np.sum(table * table, axis=-1)
    if isinstance(picture, jax.Array):
        products = jnp.matmul(picture.astype(jnp.float32), jnp.asarray(2.0 * table.T), precision="highest")
        squares = squares.reshape((1,) * (picture.ndim - 1) + (-1,))
        return jnp.argmin(squares - products, axis=-1).astype(jnp.uint8)
    return np.argmin(squares - np.asarray(picture, np.float32) @ (2.0 * table.T), axis=-1).astype(np.uint8)
