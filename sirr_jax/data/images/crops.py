"""Square crops at a random scale and position."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from PIL import Image

from sirr_jax.data.images.reader import check_large_enough


class Region(NamedTuple):
    """A square region of an image, in pixels."""

    top: int
    left: int
    side: int


class PhotoRegion(NamedTuple):
    """A square region of one photograph of a source.

    Attributes:
        photo: index of the photograph.
        region: square inside it.
    """

    photo: int
    region: Region


def draw_region(
    generator: np.random.Generator,
    size: tuple[int, int],
    *,
    canvas: int,
    crop: int,
    max_scale: float,
    min_scale: float = 1.0,
    short_side: tuple[int, int] | None = None,
    name: str,
) -> Region:
    """Draws the region of an image that is resized to the canvas.

    Its side is `canvas * r`, `r ~ U(min_scale, min(short / canvas, max_scale))`, its position is uniform. If the short
    side is below `canvas * min_scale`, the side is the whole short side, and the region is enlarged.

    With `short_side`, the image is resized to a random, even short side in this range instead, and the region has the
    size of the canvas there: its side is `canvas * short / s`, `s ~ U{short_side}`.

    Args:
        generator: random generator.
        size: height and width of the image in pixels.
        canvas: side of the resized region in pixels.
        crop: minimum short side of the image in pixels; at most `canvas`.
        max_scale: largest downscaling factor, 1 or more.
        min_scale: smallest downscaling factor, at most 1; values below 1 allow upscaling.
        short_side: range of the resized short side in pixels, at least `canvas`; None for a random scale.
        name: name of the image in the error message.

    Returns:
        The region; it lies inside the image.

    Raises:
        UserError: The image's short side is below `crop`.
    """
    check_large_enough(name, size, crop)
    height, width = size
    short = min(height, width)
    side = short
    if short_side is not None:
        low, high = ((limit + 1) // 2 for limit in short_side)
        resized = 2 * int(generator.integers(low, high, endpoint=True))
        side = min(short, round(canvas * short / resized))
    elif short > canvas * min_scale:
        scale = generator.uniform(min_scale, min(short / canvas, max_scale))
        side = min(short, round(canvas * scale))
    top = int(generator.integers(0, height - side + 1))
    left = int(generator.integers(0, width - side + 1))
    return Region(top, left, side)


def cut(image: np.ndarray, region: Region, canvas: int) -> np.ndarray:
    """Crops a region and resizes it to the canvas: bicubic, with antialiasing when downscaling.

    Args:
        image: uint8 `[height, width, 3]`.
        region: square inside the image.
        canvas: side of the result in pixels.

    Returns:
        uint8 `[canvas, canvas, 3]`; the unchanged pixels if the region has the size of the canvas.
    """
    top, left, side = region
    pixels = np.ascontiguousarray(image[top : top + side, left : left + side])
    return np.asarray(Image.fromarray(pixels).resize((canvas, canvas), Image.Resampling.BICUBIC))


def cut_labels(labels: np.ndarray, region: Region, canvas: int) -> np.ndarray:
    """Crops labels to a region and resizes them to the canvas, as `cut` does for images.

    Args:
        labels: uint8 `[height, width]`.
        region: square inside the image.
        canvas: side of the result in pixels.

    Returns:
        uint8 `[canvas, canvas]`, see `resize_labels`.
    """
    top, left, side = region
    return resize_labels(labels[top : top + side, left : left + side], (canvas, canvas))


def resize_labels(labels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resizes labels by nearest neighbor: each new pixel takes the label at its center.

    Where a center lies on the border of two pixels, the lower or right one counts.

    Args:
        labels: uint8 `[height, width]`.
        size: height and width of the result in pixels.

    Returns:
        uint8 `[*size]`, a copy.
    """
    # Integer arithmetic: Pillow's nearest filter is off by one pixel where its sums round.
    rows, columns = ((2 * np.arange(new) + 1) * old // (2 * new) for old, new in zip(labels.shape, size, strict=True))
    return labels[rows[:, None], columns]
