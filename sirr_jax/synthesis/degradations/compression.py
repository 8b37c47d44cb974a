"""Lossy compression: types 10 and 11 of the SR-Net specification, section 5.1."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL import Image

from sirr_jax.synthesis.degradations.base import at_level
from sirr_jax.synthesis.degradations.registry import register_kind

_QUALITIES = (43, 12, 7, 4)
_BITS_PER_PIXEL = (0.46, 0.16, 0.07, 0.04)


@register_kind("jpeg", number=10)
def jpeg(image: np.ndarray, level: int, generator: np.random.Generator) -> np.ndarray:  # noqa: ARG001
    """Compresses as JPEG of quality 43, 12, 7 or 4, 4:2:0.

    Args:
        image: RGB image, uint8 [H, W, 3].
        level: severity, 1 to 4.
        generator: not used.

    Returns:
        uint8 [H, W, 3].

    Raises:
        UserError: The level does not exist.
    """
    return jpeg_saved(image, quality=at_level("jpeg", _QUALITIES, level))


@register_kind("jpeg2000", number=11)
def jpeg2000(image: np.ndarray, level: int, generator: np.random.Generator) -> np.ndarray:  # noqa: ARG001
    """Compresses as lossy JPEG 2000 of 0.46, 0.16, 0.07 or 0.04 bits per pixel (24 bits uncompressed).

    The size includes the header of about 200 bytes. Below about 50 000 pixels almost nothing remains for the image at
    the higher levels, whose results are then similar.

    Args:
        image: RGB image, uint8 [H, W, 3].
        level: severity, 1 to 4.
        generator: not used.

    Returns:
        uint8 [H, W, 3].

    Raises:
        UserError: The level does not exist.
    """
    ratio = 24.0 / at_level("jpeg2000", _BITS_PER_PIXEL, level)
    return _saved(image, "JPEG2000", quality_mode="rates", quality_layers=[ratio], irreversible=True)


def jpeg_saved(image: np.ndarray, *, quality: int) -> np.ndarray:
    """Compresses as JPEG with chroma of half the resolution (4:2:0), as MATLAB's `imwrite` does, and decodes.

    Args:
        image: RGB image, uint8 [H, W, 3].
        quality: JPEG quality on the IJG's scale, 1 to 100.

    Returns:
        uint8 [H, W, 3].
    """
    return _saved(image, "JPEG", quality=quality, subsampling="4:2:0")


def _saved(image: np.ndarray, file_format: str, **options: Any) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image)).save(buffer, file_format, **options)
    with Image.open(buffer) as opened:
        return np.array(opened.convert("RGB"))
