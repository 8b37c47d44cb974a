"""What all degradations of a level have in common: their signature, their checks, their rounding.

A degradation is a pure function of an image, a level and a generator. The level counts from 1, the mildest. The image
is never changed, and the same generator state gives the same bytes.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from sirr_jax.errors import UserError

Degradation = Callable[[np.ndarray, int, np.random.Generator], np.ndarray]
"""`(image uint8 [H, W, 3] RGB, level, generator) -> uint8 [H, W, 3]`, the result in memory of its own."""

_Value = TypeVar("_Value")


def to_uint8(values: np.ndarray) -> np.ndarray:
    """Converts as MATLAB's `uint8()` does: halves are rounded up, what lies outside saturates.

    Args:
        values: [...] real, on the scale 0 to 255.

    Returns:
        uint8 [...].
    """
    saturated = np.clip(np.asarray(values, np.float64), 0.0, 255.0)
    whole = np.floor(saturated)
    # Not floor(x + 0.5): that sum rounds, too.
    return (whole + (saturated - whole >= 0.5)).astype(np.uint8)


def at_level(kind: str, values: Sequence[_Value], level: int) -> _Value:
    """Looks up the parameter of a level.

    Args:
        kind: name of the degradation, for the message.
        values: the parameter of level 1, 2 and so on.
        level: from 1.

    Returns:
        The parameter.

    Raises:
        UserError: if there is no such level.
    """
    try:
        place = operator.index(level)
    except TypeError:
        place = 0
    if not 1 <= place <= len(values):
        raise UserError(f"level {level!r} of {kind}: use a whole number from 1 to {len(values)}")
    return values[place - 1]


def check_image(image: np.ndarray) -> None:
    """Tells a wrong type or shape in one line.

    Args:
        image: uint8 [H, W, 3] is expected, with at least one pixel.

    Raises:
        UserError: if it is something else.
    """
    if not isinstance(image, np.ndarray):
        raise UserError(f"the image is a {type(image).__name__}: give a NumPy array, uint8 [height, width, 3]")
    if image.ndim != 3 or image.shape[-1] != 3 or image.size == 0:
        raise UserError(f"the image has shape {image.shape}, expected [height, width, 3]: give one RGB image at a time")
    if image.dtype != np.uint8:
        raise UserError(f"the image is {image.dtype}, expected uint8: multiply values in [0, 1] by 255 and round")
