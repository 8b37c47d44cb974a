"""Square crops at a random scale and place."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from PIL import Image

from sirr_jax.data.images.reader import check_large_enough


class Region(NamedTuple):
    """A square of an image, in pixels."""

    top: int
    left: int
    side: int


class PhotoRegion(NamedTuple):
    """A square of one photograph of many."""

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
    name: str,
) -> Region:
    """Draws the region of an image that becomes the canvas.

    Its side is `canvas * r`, `r ~ U(min_scale, min(short / canvas, max_scale))`, its place uniform. Where the short
    side is below `canvas * min_scale`, the region is the whole short side, to be enlarged.

    Args:
      generator: Source of randomness.
      size: Height and width of the image in pixels.
      canvas: Side in pixels of what the region is resized to.
      crop: Shortest side an image may have, in pixels; at most `canvas`.
      max_scale: Largest reduction, 1 or more.
      min_scale: Smallest reduction, at most 1; below 1 regions are enlarged.
      name: What the error calls the image.

    Returns:
      A region inside the image.

    Raises:
      UserError: The image's short side is below `crop`.
    """
    check_large_enough(name, size, crop)
    height, width = size
    short = min(height, width)
    side = short
    if short > canvas * min_scale:
        scale = generator.uniform(min_scale, min(short / canvas, max_scale))
        side = min(short, round(canvas * scale))
    top = int(generator.integers(0, height - side + 1))
    left = int(generator.integers(0, width - side + 1))
    return Region(top, left, side)


def cut(image: np.ndarray, region: Region, canvas: int) -> np.ndarray:
    """Cuts a region out and resizes it to the canvas: bicubic, with antialiasing where it is reduced.

    Args:
      image: uint8 `[height, width, 3]`.
      region: A square inside the image.
      canvas: Side of the result in pixels.

    Returns:
      uint8 `[canvas, canvas, 3]`; the very pixels where the region has the canvas's size.
    """
    top, left, side = region
    pixels = np.ascontiguousarray(image[top : top + side, left : left + side])
    return np.asarray(Image.fromarray(pixels).resize((canvas, canvas), Image.Resampling.BICUBIC))


def cut_labels(labels: np.ndarray, region: Region, canvas: int) -> np.ndarray:
    """Cuts out the labels of what `cut` cuts out.

    Args:
      labels: uint8 `[height, width]`.
      region: A square inside the image.
      canvas: Side of the result in pixels.

    Returns:
      uint8 `[canvas, canvas]`, see `resize_labels`.
    """
    top, left, side = region
    return resize_labels(labels[top : top + side, left : left + side], (canvas, canvas))


def resize_labels(labels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resizes labels: each new pixel takes the label at its middle, of two that meet there the latter.

    Args:
      labels: uint8 `[height, width]`.
      size: Height and width of the result in pixels.

    Returns:
      uint8 of that size, in memory of its own.
    """
    # In whole numbers: Pillow's nearest filter is a pixel off where its sums round.
    rows, columns = ((2 * np.arange(new) + 1) * old // (2 * new) for old, new in zip(labels.shape, size, strict=True))
    return labels[rows[:, None], columns]
