"""Signature, checks and rounding common to all degradations with severity levels.

A degradation is a pure function of an image, a level and a generator. Levels count from 1, the mildest. The input is
not modified, and the same generator state gives the same bytes.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from sirr_jax.errors import UserError

Degradation = Callable[[np.ndarray, int, np.random.Generator], np.ndarray]
"""`(image uint8 [H, W, 3] RGB, level, generator) -> uint8 [H, W, 3]`, the result in new memory."""

_Value = TypeVar("_Value")


def to_uint8(values: np.ndarray) -> np.ndarray:
    """Converts as MATLAB's `uint8()` does: halves are rounded up, values outside [0, 255] saturate.

    Args:
        values: [...] real numbers, on the scale 0 to 255.

    Returns:
        uint8 [...].
    """
    saturated = np.clip(np.asarray(values, np.float64), 0.0, 255.0)
    whole = np.floor(saturated)
    # Not floor(x + 0.5), because that sum is rounded too.
    return (whole + (saturated - whole >= 0.5)).astype(np.uint8)


def at_level(kind: str, values: Sequence[_Value], level: int) -> _Value:
    """Returns the parameter of a level.

    Args:
        kind: name of the degradation, for the message.
        values: parameters of level 1, 2 and so on.
        level: severity, from 1.

    Returns:
        The parameter of that level.

    Raises:
        UserError: The level does not exist.
    """
    try:
        number = operator.index(level)
    except TypeError:
        number = 0
    if not 1 <= number <= len(values):
        raise UserError(f"level {level!r} of {kind}: use a whole number from 1 to {len(values)}")
    return values[number - 1]


def check_image(image: np.ndarray) -> None:
    """Checks type and shape of an image.

    Args:
        image: array that should be uint8 [H, W, 3] with at least one pixel.

    Raises:
        UserError: The image has another type or shape.
    """
    if not isinstance(image, np.ndarray):
        raise UserError(f"the image is a {type(image).__name__}: give a NumPy array, uint8 [height, width, 3]")
    if image.ndim != 3 or image.shape[-1] != 3 or image.size == 0:
        raise UserError(f"the image has shape {image.shape}, expected [height, width, 3]: give one RGB image at a time")
    if image.dtype != np.uint8:
        raise UserError(f"the image is {image.dtype}, expected uint8: multiply values in [0, 1] by 255 and round")
