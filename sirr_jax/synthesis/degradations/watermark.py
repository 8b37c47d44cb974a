"""Watermarks: silhouettes of logos, once and slanted, or all over the image.

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
"""Width in pixels of the images that sizes and margins are stated for; they are scaled for others."""


class WatermarkLayer(NamedTuple):
    """What is laid over an image.

    Attributes:
        pixels: uint8 [H, W, 4], red, green, blue and alpha.
        logo: index of the logo that was chosen, None for a drawn one.
        gray: level of the silhouette, 128 to 255.
        places: (x, y) of each stamp's upper left corner in pixels, before the layer is turned.
        size: (width, height) of a stamp in pixels.
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
    """Puts a watermark on an image.

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
        UserError: see `draw_watermark`.
    """
    layer = draw_watermark(
        generator, *image.shape[:2], logos=logos, tiled=tiled, size=size, margin=margin, opacity=opacity, angle=angle
    )
    return lay_over(image, layer)


def lay_over(image: np.ndarray, layer: WatermarkLayer) -> np.ndarray:
    """Lays a watermark over an image.

    Args:
        image: uint8 [H, W, 3].
        layer: of the image's size.

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

    A logo, chosen uniformly, becomes a silhouette of one gray level from U{128, ..., 255} and is resized
    (bicubically). It is pasted on a transparent layer of the image's size, at a uniform place within the margins;
    the layer is turned about its center (nearest pixel) and laid over the image. Tiled, the logo, of size (w, h),
    stands on two grids of period (4 w, 6 h), the second one shifted by (2 w, 3 h).

    Sizes and margins are for images 1024 pixels wide and are scaled with the width. A logo that would not fit between
    the upper and lower margins, which the original does not foresee, is made smaller.

    Args:
        generator: source of randomness.
        height: rows of the image.
        width: columns of the image.
        logos: uint8 [h, w, 4] each; drawn ones by default.
        tiled: cover the whole image instead of one place.
        size: width of the logo; 800 by default, 100 if tiled (ours, as a period of 3200 pixels would be no tiling).
        margin: least distance from the image's border before turning.
        opacity: factor on the silhouette's alpha, above 0 and below 1.
        angle: degrees, counter-clockwise.

    Returns:
        The layer and what was drawn.

    Raises:
        UserError: if a value is outside what is stated above, or there is no room for a logo.
    """
    size = (100 if tiled else 800) if size is None else size
    if not 0.0 < opacity < 1.0:
        raise UserError(f"opacity is {opacity}: use a number above 0 and below 1, such as 0.98")
    if size < 1 or margin < 0 or (not tiled and size + 2 * margin > REFERENCE_WIDTH):
        raise UserError(
            f"size is {size}, margin {margin}: use numbers of at least 1 and 0 with size + 2 margin at most "
            f"{REFERENCE_WIDTH}, the width that they are stated for"
        )
    if logos is not None and not len(logos):
        raise UserError("logos is empty: give at least one, or None for drawn ones")
    chosen = None if logos is None else int(generator.integers(len(logos)))
    logo = draw_logo(generator) if logos is None else logos[chosen]
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
    return WatermarkLayer(np.asarray(layer.rotate(angle)), chosen, gray, tuple(places), stamp.size)


def _stamp(logo: np.ndarray, gray: int, opacity: float, width: float, room: int) -> Image.Image:
    """The silhouette in gray, `width` pixels wide unless it would be higher than `room`."""
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
