"""Watermarks: silhouettes of logos, once and slanted, or all over the image.

Source: SR-Net specification, section 5.2 (the authors' script, made for images 1024 pixels wide).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from sirr_jax.errors import UserError

REFERENCE_WIDTH = 1024
"""Width in pixels of the images that sizes and margins are stated for; they are scaled for others."""

_TOLERANCE = 35
_LETTERS = "ABCDEFGHIKLMNOPRSTUVWXYZabcdeghiklmnoprstuvwy"


def load_logos(folder: str | Path) -> list[np.ndarray]:
    """Reads a folder of logos.

    Args:
        folder: its `.png` files are read, in the order of their names.

    Returns:
        uint8 [h, w, 4] each: red, green, blue, alpha.

    Raises:
        UserError: if there is none, or one is too small to be a logo.
    """
    logos = []
    for path in sorted(Path(folder).glob("*.png")):
        with Image.open(path) as opened:
            logos.append(np.asarray(opened.convert("RGBA")))
        if min(logos[-1].shape[:2]) < 2:
            raise UserError(f"{path} has {logos[-1].shape[:2]} pixels: a logo needs at least 2 a side")
    if not logos:
        raise UserError(f"{folder} holds no .png file: put logos there, or leave the folder out for drawn ones")
    return logos


def logo_silhouette(logo: np.ndarray) -> np.ndarray:
    """Tells a logo from its background by the pixel at (W - 2, H - 2), which is background.

    Background is what has the same alpha and, in each channel, a value of at least the reference's minus 35; so
    brighter pixels count as background too.

    Args:
        logo: uint8 [h, w, 4], at least 2 pixels a side.

    Returns:
        bool [h, w], true in the logo.
    """
    values = logo.astype(np.int32)
    reference = values[-2, -2]
    background = np.all(reference[:3] - values[..., :3] <= _TOLERANCE, axis=-1) & (values[..., 3] == reference[3])
    return ~background


def draw_logo(generator: np.random.Generator) -> np.ndarray:
    """Draws a logo, for those who have none: an emblem, a word, or both, dark on white.

    Args:
        generator: source of randomness.

    Returns:
        uint8 [h, w, 4], opaque, 200 to about 1000 pixels wide.
    """
    kind = generator.choice(("emblem", "word", "both"), p=(0.25, 0.35, 0.4))
    parts = []
    if kind != "word":
        parts.append(_emblem(generator))
    if kind != "emblem":
        parts.append(_word(generator))
    gap, border = 20, 16
    stacked = len(parts) == 2 and generator.random() < 0.5
    sizes = [(part.width, part.height) for part in parts]
    total = [sum(size) + gap * (len(parts) - 1) for size in zip(*sizes, strict=True)]
    most = [max(size) for size in zip(*sizes, strict=True)]
    width, height = (most[0], total[1]) if stacked else (total[0], most[1])
    sheet = Image.new("L", (width + 2 * border, height + 2 * border), 255)
    place = border
    for part in parts:
        middle = (
            ((width - part.width) // 2, place - border) if stacked else (place - border, (height - part.height) // 2)
        )
        sheet.paste(part, (border + middle[0], border + middle[1]))
        place += gap + (part.height if stacked else part.width)
    return np.asarray(sheet.convert("RGBA"))


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

    A logo, chosen uniformly, becomes a silhouette of one grey level from U{128, ..., 255} and is resized
    (bicubically). It is pasted on a transparent layer of the image's size, at a uniform place within the margins;
    the layer is turned about its centre (nearest pixel) and laid over the image. Tiled, the logo, of size (w, h),
    stands on two grids of period (4 w, 6 h), the second one shifted by (2 w, 3 h).

    Sizes and margins are for images 1024 pixels wide and are scaled with the width. A logo that would not fit between
    the upper and lower margins, which the original does not foresee, is made smaller.

    Args:
        image: uint8 [H, W, 3].
        generator: source of randomness.
        logos: uint8 [h, w, 4] each; drawn ones by default.
        tiled: cover the whole image instead of one place.
        size: width of the logo; 800 by default, 100 if tiled (ours, as a period of 3200 pixels would be no tiling).
        margin: least distance from the image's border before turning.
        opacity: factor on the silhouette's alpha, above 0 and below 1.
        angle: degrees, counter-clockwise.

    Returns:
        uint8 [H, W, 3].

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
    height, width, _ = image.shape
    logo = draw_logo(generator) if logos is None else logos[int(generator.integers(len(logos)))]
    grey = int(generator.integers(128, 256))

    scale = width / REFERENCE_WIDTH
    edge = int(margin * scale)
    room = height if tiled else height - 2 * edge
    if room < 1:
        raise UserError(
            f"an image of {height} x {width} pixels has no room for a margin of {margin}: use a smaller one"
        )
    stamp = _stamp(logo, grey, opacity, size * scale, room)
    if tiled:
        places = _tiles((width, height), stamp.size)
    else:
        x = int(generator.integers(edge, max(edge, width - stamp.width - edge) + 1))
        y = int(generator.integers(edge, max(edge, height - stamp.height - edge) + 1))
        places = [(x, y)]
    layer = Image.new("RGBA", (width, height), (0, 0, 0, 0))
    for place in places:
        layer.paste(stamp, place)
    layer = layer.rotate(angle)
    return np.asarray(Image.composite(layer.convert("RGB"), Image.fromarray(image), layer.getchannel("A")))


def _stamp(logo: np.ndarray, grey: int, opacity: float, width: float, room: int) -> Image.Image:
    """The silhouette in grey, `width` pixels wide unless it would be higher than `room`."""
    aspect = logo.shape[1] / logo.shape[0]
    width = max(1, int(min(width, room * aspect)))
    size = (width, max(1, min(room, int(width / aspect))))
    silhouette = Image.fromarray(logo_silhouette(logo).astype(np.uint8) * 255)
    alpha = np.asarray(silhouette.resize(size, Image.Resampling.BICUBIC))
    pixels = np.full((*alpha.shape, 4), grey, np.uint8)
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


def _emblem(generator: np.random.Generator) -> Image.Image:
    """One to three dark shapes with light ones inside, 200 pixels a side."""
    side, centre = 200, 100.0
    sheet = Image.new("L", (side, side), 255)
    pen = ImageDraw.Draw(sheet)
    radius = 95.0
    for ring in range(int(generator.integers(2, 5))):
        colour = 0 if ring % 2 == 0 else 255
        corners = int(generator.integers(3, 9))
        turn = generator.uniform(0.0, 2.0 * np.pi)
        kind = generator.choice(("circle", "polygon", "star"))
        if kind == "circle":
            pen.ellipse([centre - radius, centre - radius, centre + radius, centre + radius], fill=colour)
        else:
            inner = 0.45 if kind == "star" else float(np.cos(np.pi / corners))
            angles = turn + np.pi / corners * np.arange(2 * corners)
            lengths = radius * np.where(np.arange(2 * corners) % 2, inner, 1.0)
            points = centre + np.stack([np.cos(angles), np.sin(angles)], axis=-1) * lengths[:, None]
            pen.polygon([tuple(map(float, point)) for point in points], fill=colour)
        radius *= generator.uniform(0.5, 0.8)
    return sheet


def _word(generator: np.random.Generator) -> Image.Image:
    """Dark letters, as large as their drawing."""
    count = int(generator.integers(3, 9))
    letters = "".join(_LETTERS[i] for i in generator.integers(len(_LETTERS), size=count))
    text = letters.upper() if generator.random() < 0.5 else letters.capitalize()
    font = ImageFont.load_default(int(generator.integers(90, 150)))
    stroke = int(generator.integers(0, 7))
    left, top, right, bottom = font.getbbox(text, stroke_width=stroke)
    sheet = Image.new("L", (int(np.ceil(right - left)), int(np.ceil(bottom - top))), 255)
    ImageDraw.Draw(sheet).text((-left, -top), text, font=font, fill=0, stroke_width=stroke)
    return sheet
