"""Watermarks: silhouettes of logos, a single rotated one or a tiling of the image.

Source: SR-Net specification, section 5.2 (the authors' script, made for images 1024 pixels wide).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image

from sirr_jax.errors import UserError
from sirr_jax.synthesis.degradations.logos import draw_logo, logo_silhouette

REFERENCE_WIDTH = 1024
"""Width in pixels of the images to which sizes and margins refer; they are scaled for others."""


class WatermarkLayer(NamedTuple):
    """A watermark before it is composited with an image.

    Attributes:
        pixels: uint8 [H, W, 4], red, green, blue and alpha.
        logo: index of the drawn logo in `logos`; None for a procedural one.
        gray: gray level of the silhouette, 128 to 255.
        places: upper left corner (x, y) of each stamp in pixels, before the layer is rotated.
        size: size (width, height) of a stamp in pixels.
    """

    pixels: np.ndarray
    logo: int | None
    gray: int
    places: tuple[tuple[int, int], ...]
    size: tuple[int, int]


def watermark(
    image: np.ndarray,
    generator: np.random.Generator,
    *,
    logos: Sequence[np.ndarray] | None = None,
    tiled: bool = False,
    size: int | None = None,
    margin: int = 80,
    opacity: float = 0.98,
    angle: float = 10.0,
) -> np.ndarray:
    """Adds a watermark to an image.

    Args:
        image: uint8 [H, W, 3].
        generator: source of randomness.
        logos: see `draw_watermark`.
        tiled: see `draw_watermark`.
        size: see `draw_watermark`.
        margin: see `draw_watermark`.
        opacity: see `draw_watermark`.
        angle: see `draw_watermark`.

    Returns:
        uint8 [H, W, 3].

    Raises:
        UserError: A value is out of range; see `draw_watermark`.
    """
    layer = draw_watermark(
        generator, *image.shape[:2], logos=logos, tiled=tiled, size=size, margin=margin, opacity=opacity, angle=angle
    )
    return lay_over(image, layer)


def lay_over(image: np.ndarray, layer: WatermarkLayer) -> np.ndarray:
    """Composites a watermark with an image.

    Args:
        image: uint8 [H, W, 3].
        layer: watermark of the size of the image.

    Returns:
        uint8 [H, W, 3].
    """
    above = Image.fromarray(layer.pixels)
    return np.asarray(Image.composite(above.convert("RGB"), Image.fromarray(image), above.getchannel("A")))


def draw_watermark(
    generator: np.random.Generator,
    height: int,
    width: int,
    *,
    logos: Sequence[np.ndarray] | None = None,
    tiled: bool = False,
    size: int | None = None,
    margin: int = 80,
    opacity: float = 0.98,
    angle: float = 10.0,
) -> WatermarkLayer:
    """Draws a watermark for images of one size.

    A logo, drawn uniformly, is turned into a silhouette of one gray level from U{128, ..., 255} and resized
    (bicubically). It is pasted on a transparent layer of the size of the image, at a uniform position within the
    margins; the layer is rotated about its center (nearest pixel) and composited with the image. If tiled, the logo,
    of size (w, h), is repeated on two grids of period (4 w, 6 h), the second one shifted by (2 w, 3 h).

    Sizes and margins refer to images 1024 pixels wide and are scaled with the width. A logo that does not fit between
    the upper and lower margins, a case that the original does not handle, is made smaller.

    Args:
        generator: source of randomness.
        height: number of rows of the image.
        width: number of columns of the image.
        logos: logos to draw from, uint8 [h, w, 4] each; procedural ones by default.
        tiled: cover the whole image instead of one position.
        size: width of the logo; 800 by default, 100 if tiled (our choice: a period of 3200 pixels would not tile).
        margin: smallest distance from the border of the image before rotation.
        opacity: factor on the alpha of the silhouette, above 0 and below 1.
        angle: rotation in degrees, counter-clockwise.

    Returns:
        The layer and the drawn values.

    Raises:
        UserError: A value is outside the range stated above, or there is no room for a logo.
    """
    size = (100 if tiled else 800) if size is None else size
    if not 0.0 < opacity < 1.0:
        raise UserError(f"opacity is {opacity}: use a number above 0 and below 1, such as 0.98")
    if size < 1 or margin < 0 or (not tiled and size + 2 * margin > REFERENCE_WIDTH):
        raise UserError(
            f"size is {size}, margin {margin}: use numbers of at least 1 and 0 with size + 2 margin at most "
            f"{REFERENCE_WIDTH}, the width to which they refer"
        )
    if logos is not None and not len(logos):
        raise UserError("logos is empty: give at least one, or None for drawn ones")
    index = None if logos is None else int(generator.integers(len(logos)))
    logo = draw_logo(generator) if logos is None or index is None else logos[index]
    gray = int(generator.integers(128, 256))

    scale = width / REFERENCE_WIDTH
    edge = int(margin * scale)
    room = height if tiled else height - 2 * edge
    if room < 1:
        raise UserError(
            f"an image of {height} x {width} pixels has no room for a margin of {margin}: use a smaller one"
        )
    stamp = _stamp(logo, gray, opacity, size * scale, room)
    if tiled:
        places = _tiles((width, height), stamp.size)
    else:
        x = int(generator.integers(edge, max(edge, width - stamp.width - edge) + 1))
        y = int(generator.integers(edge, max(edge, height - stamp.height - edge) + 1))
        places = [(x, y)]
    layer = Image.new("RGBA", (width, height), (0, 0, 0, 0))
    for place in places:
        layer.paste(stamp, place)
    return WatermarkLayer(np.asarray(layer.rotate(angle)), index, gray, tuple(places), stamp.size)


def _stamp(logo: np.ndarray, gray: int, opacity: float, width: float, room: int) -> Image.Image:
    """The silhouette in gray, `width` pixels wide unless it would be taller than `room`."""
    aspect = logo.shape[1] / logo.shape[0]
    width = max(1, int(min(width, room * aspect)))
    size = (width, max(1, min(room, int(width / aspect))))
    silhouette = Image.fromarray(logo_silhouette(logo).astype(np.uint8) * 255)
    alpha = np.asarray(silhouette.resize(size, Image.Resampling.BICUBIC))
    pixels = np.full((*alpha.shape, 4), gray, np.uint8)
    pixels[..., 3] = np.floor(alpha * opacity)
    return Image.fromarray(pixels)


def _tiles(canvas: tuple[int, int], stamp: tuple[int, int]) -> list[tuple[int, int]]:
    """Upper left corners of the two grids."""
    step = (4 * stamp[0], 6 * stamp[1])
    return [
        (x, y)
        for shift in ((0, 0), (step[0] // 2, step[1] // 2))
        for y in range(shift[1], canvas[1], step[1])
        for x in range(shift[0], canvas[0], step[0])
    ]
