"""Logos for watermarks: read from a folder or drawn, and separated from their background.

Source: SR-Net specification, section 5.2; the drawn logos are ours.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from sirr_jax.errors import UserError

_TOLERANCE = 35
_LETTERS = "ABCDEFGHIKLMNOPRSTUVWXYZabcdeghiklmnoprstuvwy"


def load_logos(folder: str | Path) -> dict[str, np.ndarray]:
    """Reads the `.png` files of a folder, in the order of their names.

    Args:
        folder: folder of logos.

    Returns:
        Logos by file name, uint8 [h, w, 4], red, green, blue, alpha.

    Raises:
        UserError: The folder has no logo, or a logo cannot be read, is too small, or is all background.
    """
    logos = {}
    for path in sorted(Path(folder).glob("*.png")):
        try:
            with Image.open(path) as opened:
                logo = np.asarray(opened.convert("RGBA"))
        except (OSError, SyntaxError, ValueError) as error:
            raise UserError(f"{path} cannot be read ({error}): replace the file or remove it") from None
        if min(logo.shape[:2]) < 2:
            raise UserError(f"{path} has {logo.shape[:2]} pixels: a logo needs at least 2 a side")
        if not logo_silhouette(logo).any():
            raise UserError(
                f"{path} is background all over: a logo is darker than its lower right corner, or differs from it in "
                "transparency"
            )
        logos[path.name] = logo
    if not logos:
        raise UserError(f"{folder} has no .png file: put logos there, or leave the folder out for drawn ones")
    return logos


def logo_silhouette(logo: np.ndarray) -> np.ndarray:
    """Separates a logo from its background, of which the pixel at (W - 2, H - 2) is the reference.

    A pixel is background if its alpha equals the reference's and each channel is at least the reference's minus 35;
    brighter pixels are background too.

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
    """Draws a logo: an emblem, a word, or both, dark on white.

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


def _emblem(generator: np.random.Generator) -> Image.Image:
    """One to three dark shapes with light ones inside, 200 pixels a side."""
    side, center = 200, 100.0
    sheet = Image.new("L", (side, side), 255)
    pen = ImageDraw.Draw(sheet)
    radius = 95.0
    for ring in range(int(generator.integers(2, 5))):
        color = 0 if ring % 2 == 0 else 255
        corners = int(generator.integers(3, 9))
        turn = generator.uniform(0.0, 2.0 * np.pi)
        kind = generator.choice(("circle", "polygon", "star"))
        if kind == "circle":
            pen.ellipse([center - radius, center - radius, center + radius, center + radius], fill=color)
        else:
            inner = 0.45 if kind == "star" else float(np.cos(np.pi / corners))
            angles = turn + np.pi / corners * np.arange(2 * corners)
            lengths = radius * np.where(np.arange(2 * corners) % 2, inner, 1.0)
            points = center + np.stack([np.cos(angles), np.sin(angles)], axis=-1) * lengths[:, None]
            pen.polygon([tuple(map(float, point)) for point in points], fill=color)
        radius *= generator.uniform(0.5, 0.8)
    return sheet


def _word(generator: np.random.Generator) -> Image.Image:
    """Dark letters, cropped to their extent."""
    count = int(generator.integers(3, 9))
    letters = "".join(_LETTERS[i] for i in generator.integers(len(_LETTERS), size=count))
    text = letters.upper() if generator.random() < 0.5 else letters.capitalize()
    font = ImageFont.load_default(int(generator.integers(90, 150)))
    stroke = int(generator.integers(0, 7))
    left, top, right, bottom = font.getbbox(text, stroke_width=stroke)
    sheet = Image.new("L", (int(np.ceil(right - left)), int(np.ceil(bottom - top))), 255)
    ImageDraw.Draw(sheet).text((-left, -top), text, font=font, fill=0, stroke_width=stroke)
    return sheet
