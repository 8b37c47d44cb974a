"""Displaced and uniformly colored squares: types 14 and 15 of the SR-Net specification, section 5.1."""

from __future__ import annotations

import numpy as np

from sirr_jax.synthesis.degradations.base import at_level, to_uint8
from sirr_jax.synthesis.degradations.registry import register_kind

_PATCHES = (30, 70, 150, 300)
_PATCH, _OFFSET = 15, 5
_BLOCKS = (2, 4, 8, 16, 32)
_BLOCK = 32
# Added to the mean color, by level; None: no red at all.
_RED = (None, 50.0, 30.0, 0.0, 0.0)


@register_kind("pattern_noise", number=14)
def pattern_noise(image: np.ndarray, level: int, generator: np.random.Generator) -> np.ndarray:
    """Replaces 30, 70, 150 or 300 squares of 15 x 15 pixels by the squares 5 pixels below and to the right of them.

    "Non-eccentricity pattern noise". Positions are uniform and may overlap; pixels are copied from the original image.
    In small images the squares, and below 6 pixels the displacement, are reduced to fit.

    Args:
        image: RGB image, uint8 [H, W, 3].
        level: severity, 1 to 4.
        generator: source of randomness.

    Returns:
        uint8 [H, W, 3].

    Raises:
        UserError: The level does not exist.
    """
    count = at_level("pattern_noise", _PATCHES, level)
    sides = np.array(image.shape[:2])
    offset = np.minimum(_OFFSET, sides - 1)
    size = np.minimum(_PATCH, sides - offset)
    noisy = image.copy()
    for top, left in generator.integers(0, sides - offset - size + 1, (count, 2)):
        below, right = top + offset[0], left + offset[1]
        noisy[top : top + size[0], left : left + size[1]] = image[below : below + size[0], right : right + size[1]]
    return noisy


@register_kind("local_blocks", number=15, levels=5)
def local_blocks(image: np.ndarray, level: int, generator: np.random.Generator) -> np.ndarray:
    """Fills 2, 4, 8, 16 or 32 squares of 32 x 32 pixels with one color near the mean of the image.

    The color is (0, g, b) at level 1, (r + 50, g, b) at level 2, (r + 30, g, b) at level 3 and the mean (r, g, b)
    above: more blocks have less contrast. Positions are uniform and may overlap. In small images the squares are
    reduced to fit.

    Args:
        image: RGB image, uint8 [H, W, 3].
        level: severity, 1 to 5.
        generator: source of randomness.

    Returns:
        uint8 [H, W, 3].

    Raises:
        UserError: The level does not exist.
    """
    count, red = at_level("local_blocks", tuple(zip(_BLOCKS, _RED, strict=True)), level)
    color = image.reshape(-1, 3).mean(axis=0)
    color[0] = 0.0 if red is None else color[0] + red
    sides = np.array(image.shape[:2])
    size = np.minimum(_BLOCK, sides)
    blocked = image.copy()
    for top, left in generator.integers(0, sides - size + 1, (count, 2)):
        blocked[top : top + size[0], left : left + size[1]] = to_uint8(color)
    return blocked
