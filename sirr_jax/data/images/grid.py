"""Many images on one sheet, to be looked at."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image


def contact_sheet(rows: Sequence[Sequence[np.ndarray]], *, gap: int = 2, side: int | None = None) -> np.ndarray:
    """Lay images out in rows on white paper.

    Args:
        rows: per row its images, uint8 `[h, w, 3]` or `[h, w]`; rows may differ in length, images in size.
        gap: white pixels between them.
        side: longer side in pixels to which larger images are reduced; None to keep all as they are.

    Returns:
        uint8 `[H, W, 3]`.
    """
    cells = [[_reduced(image, side) for image in row] for row in rows]
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


def _reduced(image: np.ndarray, side: int | None) -> np.ndarray:
    picture = Image.fromarray(np.ascontiguousarray(image)).convert("RGB")
    if side is not None:
        picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    return np.asarray(picture)
