"""Contact sheets: many images on one sheet for visual inspection."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image


def contact_sheet(rows: Sequence[Sequence[np.ndarray]], *, gap: int = 2, side: int | None = None) -> np.ndarray:
    """Lays images out in rows on a white background.

    Args:
        rows: rows of images, uint8 `[h, w, 3]` or `[h, w]`; rows may differ in length and images in size.
        gap: white space between images in pixels.
        side: largest longer side in pixels; larger images are downscaled to it. None keeps all sizes.

    Returns:
        uint8 `[H, W, 3]`.
    """
    cells = [[_downscale(image, side) for image in row] for row in rows]
    heights = [max(image.shape[0] for image in row) for row in cells]
    widths = [max(row[i].shape[1] for row in cells if i < len(row)) for i in range(max(map(len, cells)))]
    size = (sum(heights) + gap * (len(heights) - 1), sum(widths) + gap * (len(widths) - 1), 3)
    sheet = np.full(size, 255, np.uint8)
    top = 0
    for row, height in zip(cells, heights, strict=True):
        left = 0
        for image, width in zip(row, widths, strict=False):
            sheet[top : top + image.shape[0], left : left + image.shape[1]] = image
            left += width + gap
        top += height + gap
    return sheet


def _downscale(image: np.ndarray, side: int | None) -> np.ndarray:
    picture = Image.fromarray(np.ascontiguousarray(image)).convert("RGB")
    if side is not None:
        picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    return np.asarray(picture)
