"""Irregular masks: strokes cut out of an image.

Source: SR-Net specification, section 5.3 (the masks of karfly/qd-imd, drawn from Quick-Draw strokes).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from sirr_jax.errors import UserError

CANVAS = 512
"""Side in pixels of the canvas to which stroke widths refer."""

_ATTEMPTS = 1000


class MaskedImage(NamedTuple):
    """An image with holes.

    Attributes:
        image: uint8 [H, W, 3], black in the holes.
        mask: uint8 [H, W, 1], 0 in the holes, else 1.
    """

    image: np.ndarray
    mask: np.ndarray


def irregular_mask(
    image: np.ndarray,
    generator: np.random.Generator,
    *,
    strokes: Sequence[np.ndarray] | None = None,
    count: tuple[float, float] = (4.0, 2.0),
    width: tuple[float, float] = (5.0, 15.0),
    scale: tuple[float, float] = (1.0, 1.5),
) -> MaskedImage:
    """Cuts strokes out of an image.

    Args:
        image: uint8 [H, W, 3].
        generator: source of randomness.
        strokes: see `draw_irregular_mask`.
        count: see `draw_irregular_mask`.
        width: see `draw_irregular_mask`.
        scale: see `draw_irregular_mask`.

    Returns:
        The image times its mask, and the mask.

    Raises:
        UserError: A value is out of range; see `draw_irregular_mask`.
    """
    mask = draw_irregular_mask(generator, *image.shape[:2], strokes=strokes, count=count, width=width, scale=scale)
    return MaskedImage(image * mask, mask)


def draw_irregular_mask(
    generator: np.random.Generator,
    rows: int,
    columns: int,
    *,
    strokes: Sequence[np.ndarray] | None = None,
    count: tuple[float, float] = (4.0, 2.0),
    width: tuple[float, float] = (5.0, 15.0),
    scale: tuple[float, float] = (1.0, 1.5),
) -> np.ndarray:
    """Draws a mask on a canvas of 512 x 512 pixels and crops it to the size of an image; empty masks are redrawn.

    The canvas is enlarged by U(scale), cropped to its center, resized to the longer side of the image and cropped to
    the shorter one; all by nearest pixels, so the mask stays binary.

    Args:
        generator: source of randomness.
        rows: number of rows of the mask.
        columns: number of columns of the mask.
        strokes: polylines to draw from, float [n, 2] each, in units of the canvas, x before y. By default random walks
            of about the length of a hand-drawn stroke.
        count: mean and standard deviation of the normal number of strokes, rounded.
        width: smallest and largest width of a stroke, pixels of the canvas, uniform.
        scale: smallest and largest enlargement, uniform, 1 or more.

    Returns:
        uint8 [H, W, 1], 0 in the strokes (holes), else 1.

    Raises:
        UserError: A range is invalid, or all drawn masks are empty.
    """
    for name, (low, high), least in (("width", width, 0.0), ("scale", scale, 1.0)):
        if not least <= low <= high:
            raise UserError(f"{name} is {(low, high)}: use two numbers of at least {least:g}, the lower one first")
    if strokes is not None and not len(strokes):
        raise UserError("strokes is empty: give at least one, or None for drawn ones")
    for _ in range(_ATTEMPTS):
        canvas = Image.new("L", (CANVAS, CANVAS), 255)
        pen = ImageDraw.Draw(canvas)
        for _ in range(max(0, round(generator.normal(*count)))):
            if strokes is None:
                points = _random_stroke(generator)
            else:
                points = np.asarray(strokes[int(generator.integers(len(strokes)))], np.float64)
            _draw_stroke(pen, CANVAS * points, max(1, round(generator.uniform(*width))))
        mask = _fit(canvas, rows, columns, generator.uniform(*scale))
        if not mask.all():
            return mask[..., None]
    raise UserError(f"{_ATTEMPTS} masks in a row were empty: use a larger mean count than {count[0]}, or other strokes")


def _random_stroke(generator: np.random.Generator) -> np.ndarray:
    """Random walk [n, 2] of a few to a dozen steps that bends more to one side, as hand-drawn curves do."""
    steps = int(generator.integers(4, 15))
    turns = generator.normal(0.0, 0.25) + generator.normal(0.0, 0.35, steps)
    heading = generator.uniform(0.0, 2.0 * np.pi) + np.cumsum(turns)
    lengths = generator.uniform(0.03, 0.13, steps)
    moves = lengths[:, None] * np.stack([np.cos(heading), np.sin(heading)], axis=-1)
    walk = np.concatenate([np.zeros((1, 2)), np.cumsum(moves, axis=0)])
    # Positioned by its middle, so that strokes cross the center as often as the border.
    middle = 0.5 * (walk.min(axis=0) + walk.max(axis=0))
    return walk - middle + generator.uniform(0.1, 0.9, 2)


def _draw_stroke(pen: ImageDraw.ImageDraw, points: np.ndarray, width: int) -> None:
    corners = [(float(x), float(y)) for x, y in points]
    pen.line(corners, fill=0, width=width, joint="curve")
    half = 0.5 * (width - 1)
    for x, y in (corners[0], corners[-1]):
        pen.ellipse([x - half, y - half, x + half, y + half], fill=0)


def _fit(canvas: Image.Image, height: int, width: int, scale: float) -> np.ndarray:
    """Resizes the center of the enlarged canvas to the size of the image, by one nearest-pixel resize of a box."""
    longer = max(height, width)
    across, down = CANVAS / scale * width / longer, CANVAS / scale * height / longer
    box = (0.5 * (CANVAS - across), 0.5 * (CANVAS - down), 0.5 * (CANVAS + across), 0.5 * (CANVAS + down))
    cut = canvas.resize((width, height), Image.Resampling.NEAREST, box=box)
    return (np.asarray(cut) > 127).astype(np.uint8)
