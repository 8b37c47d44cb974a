"""Brightness, contrast and saturation: types 16, 17 and 18 of the SR-Net specification, section 5.1."""

from __future__ import annotations

import numpy as np

from sirr_jax.synthesis.degradations.base import at_level, to_uint8
from sirr_jax.synthesis.degradations.registry import register_kind
from sirr_jax.synthesis.degradations.ycbcr import rgb_to_ycbcr, ycbcr_to_rgb

_SHIFTS = (15.0, 30.0, 45.0, 60.0)
_CONTRASTS = (0.85, 0.7, 0.55, 0.4)
_SATURATIONS = (0.4, 0.0, -0.4, -0.8)


@register_kind("mean_shift", number=16)
def mean_shift(image: np.ndarray, level: int, generator: np.random.Generator) -> np.ndarray:  # noqa: ARG001
    """Adds 15, 30, 45 or 60 to every sample; values above 255 saturate.

    Args:
        image: RGB image, uint8 [H, W, 3].
        level: severity, 1 to 4.
        generator: not used.

    Returns:
        uint8 [H, W, 3].

    Raises:
        UserError: The level does not exist.
    """
    return to_uint8(image + at_level("mean_shift", _SHIFTS, level))


@register_kind("contrast", number=17)
def contrast(image: np.ndarray, level: int, generator: np.random.Generator) -> np.ndarray:  # noqa: ARG001
    """Multiplies every sample by 0.85, 0.7, 0.55 or 0.4: black is fixed, so the image also darkens.

    Args:
        image: RGB image, uint8 [H, W, 3].
        level: severity, 1 to 4.
        generator: not used.

    Returns:
        uint8 [H, W, 3].

    Raises:
        UserError: The level does not exist.
    """
    return to_uint8(image * at_level("contrast", _CONTRASTS, level))


@register_kind("saturation", number=18)
def saturation(image: np.ndarray, level: int, generator: np.random.Generator) -> np.ndarray:  # noqa: ARG001
    """Multiplies the distance of Cb and Cr from 0.5 by 0.4, 0, -0.4 or -0.8: paler, gray, complementary colors.

    Gray is at 128/255 and not at 0.5, so it becomes slightly tinted, as in the published script.

    Args:
        image: RGB image, uint8 [H, W, 3].
        level: severity, 1 to 4.
        generator: not used.

    Returns:
        uint8 [H, W, 3].

    Raises:
        UserError: The level does not exist.
    """
    factor = at_level("saturation", _SATURATIONS, level)
    planes = rgb_to_ycbcr(image / 255.0)
    planes[..., 1:] = 0.5 + (planes[..., 1:] - 0.5) * factor
    return to_uint8(255.0 * ycbcr_to_rgb(planes))
