"""Synthetic scenes with exact labels: shapes filled with photos, on a photo as background.

They train a segmentation network without a labelled data set, and are not taken from a paper. The class of a pixel is
that of the outline of its shape; the texture carries no information about it. With hints, shapes of a class often share
a typical color, as grass and sky do, which is learned in minutes.
"""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType

import numpy as np
from PIL import Image, ImageDraw

from sirr_jax.data.images.crops import cut, draw_region
from sirr_jax.data.random_access import StreamKey
from sirr_jax.data.sources.photos import PhotoSource
from sirr_jax.errors import UserError

_MAX_SHAPES = 6
_MAX_CLASSES = 3
# Supersampling factor of the outlines; the color of a pixel is the mean over its subpixels.
_SUPERSAMPLING = 4
_RADIUS = (0.12, 0.32)
# Minimum distance of shape centers from the border, as a fraction of the side.
_BORDER = 0.1
_RECOLOR_PROBABILITY = 0.7
# Typical colors of the shapes in RGB, in the order of `SHAPES`.
_COLORS = np.array([(200, 60, 50), (60, 170, 70), (60, 90, 200), (220, 190, 60), (180, 70, 180), (70, 190, 190)])
_COLOR_SPREAD = 25.0

_Outlines = tuple[np.ndarray, ...]


def _polar(angles: np.ndarray, radii: np.ndarray | float) -> np.ndarray:
    return np.stack([np.cos(angles), np.sin(angles)], axis=-1) * np.reshape(radii, (-1, 1))


def _circle(radius: float) -> np.ndarray:
    return _polar(np.linspace(0.0, 2.0 * np.pi, 64, endpoint=False), radius)


def _disc(generator: np.random.Generator) -> _Outlines:
    return (_circle(1.0) * (1.0, generator.uniform(0.8, 1.0)),)


def _rectangle(generator: np.random.Generator) -> _Outlines:
    half = np.array([1.0, generator.uniform(0.45, 1.0)])
    corners = np.array([(-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0)])
    return (corners * half * min(1.0, 1.2 / np.hypot(*half)),)


def _triangle(generator: np.random.Generator) -> _Outlines:
    angles = 2.0 * np.pi / 3.0 * np.arange(3) + generator.uniform(-0.3, 0.3, 3)
    return (_polar(angles, 1.1),)


def _star(generator: np.random.Generator) -> _Outlines:
    radii = np.tile([1.1, generator.uniform(0.4, 0.5)], 5)
    return (_polar(np.pi / 5.0 * np.arange(10), radii),)


def _ring(generator: np.random.Generator) -> _Outlines:
    return _circle(1.0), _circle(generator.uniform(0.5, 0.65))


def _cross(generator: np.random.Generator) -> _Outlines:
    a = generator.uniform(0.25, 0.35)
    quarter = np.array([(1.0, -a), (1.0, a), (a, a)])
    turns = [np.array([(c, -s), (s, c)]) for c, s in ((1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.0, -1.0))]
    return (np.concatenate([quarter @ turn.T for turn in turns]),)


SHAPES: MappingProxyType[str, Callable[[np.random.Generator], _Outlines]] = MappingProxyType(
    {"disc": _disc, "rectangle": _rectangle, "triangle": _triangle, "star": _star, "ring": _ring, "cross": _cross}
)
"""Shapes by name: functions that draw an outline [n, 2] (and that of a hole), within about 1 of the origin."""

SCENE_CLASSES = ("background", *SHAPES)
"""Class names of the scenes."""


class SceneSource:
    """A `LabelledSource` of synthetic scenes, each a function of its index and the seed alone.

    A scene contains 2 to 6 shapes of at most three classes over a crop of one photo, at random positions, sizes and
    rotations. Later shapes cover earlier ones. Each shape is filled with a crop of another photo, and most of these are
    recolored. The color of a pixel is the mean over its subpixels; its label is the class of most of its subpixels, and
    the lower class of a tie.
    """

    def __init__(self, photos: PhotoSource, *, count: int, size: int, seed: int, hint: float = 0.0) -> None:
        """Makes a source.

        Args:
            photos: source of the textures of background and shapes.
            count: number of scenes.
            size: side of a scene in pixels, 16 or more. Smaller photos are upscaled.
            seed: random seed.
            hint: fraction of the shapes in [0, 1] that have the typical color of their class.

        Raises:
            UserError: A value is out of range.
        """
        if count < 1:
            raise UserError(f"config.data.scenes.count={count}: expected 1 or more scenes")
        if size < 16:
            raise UserError(f"config.data.scenes.size={size}: expected 16 or more pixels")
        if not 0.0 <= hint <= 1.0:
            raise UserError(f"config.data.scenes.hint={hint}: expected a fraction from 0 to 1")
        self._hint = hint
        self._photos = photos
        self._count = count
        self._size = size
        self._key = StreamKey(seed, "scenes")

    @property
    def classes(self) -> int:
        """Number of classes: the background (0) and one per type of shape."""
        return len(SCENE_CLASSES)

    def __len__(self) -> int:
        return self._count

    def name(self, index: int) -> str:
        """Returns the name of a scene, with its index."""
        return f"scene {index}"

    def read(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Draws a scene, uint8 `[size, size, 3]`, and its labels, uint8 `[size, size]`.

        Raises:
            UserError: A photo cannot be decoded.
        """
        generator = self._key.generator("scene", index)
        layers, classes = _draw_layers(generator, self._size)
        textures = self._textures(generator, classes)
        size, parts = self._size, _SUPERSAMPLING * _SUPERSAMPLING
        picture = np.zeros((size, size, 3), np.float32)
        votes = np.zeros((self.classes, size, size), np.uint8)
        for layer, (label, texture) in enumerate(zip(classes, textures, strict=True)):
            # Rows first: neighbors in memory are summed.
            row_counts = (layers == layer).reshape(size, _SUPERSAMPLING, -1).sum(axis=1, dtype=np.uint8)
            counts = row_counts.reshape(size, size, _SUPERSAMPLING).sum(axis=-1, dtype=np.uint8)
            picture += (counts / np.float32(parts))[..., None] * texture
            votes[label] += counts
        return np.rint(picture).astype(np.uint8), np.argmax(votes, axis=0).astype(np.uint8)

    def _textures(self, generator: np.random.Generator, classes: list[int]) -> list[np.ndarray]:
        """Returns the textures of background and shapes, uint8 `[size, size, 3]`, from up to three photos."""
        indices = generator.choice(len(self._photos), min(3, len(self._photos)), replace=False).tolist()
        photos = {index: self._photos.read(index) for index in indices}
        background, *others = indices
        textures = []
        for layer, label in enumerate(classes):
            index = background if not layer or not others else others[int(generator.integers(len(others)))]
            photo = photos[index]
            name = self._photos.name(index)
            region = draw_region(generator, photo.shape[:2], canvas=self._size, crop=1, max_scale=4.0, name=name)
            texture = cut(photo, region, self._size)
            if layer and self._hint > 0 and generator.random() < self._hint:
                color = generator.normal(_COLORS[label - 1], _COLOR_SPREAD)
                textures.append(_recolor(texture, generator, color=color))
            elif layer and generator.random() < _RECOLOR_PROBABILITY:
                textures.append(_recolor(texture, generator, color=None))
            else:
                textures.append(texture)
        return textures


def _draw_layers(generator: np.random.Generator, size: int) -> tuple[np.ndarray, list[int]]:
    """Draws shapes: the top layer at each subpixel, uint8 `[fine, fine]`, and the class of each layer."""
    shapes = generator.choice(len(SHAPES), int(generator.integers(1, _MAX_CLASSES + 1)), replace=False)
    draw_functions = list(SHAPES.values())
    fine = size * _SUPERSAMPLING
    canvas = Image.new("L", (fine, fine), 0)
    classes = [0]
    for layer in range(1, int(generator.integers(2, _MAX_SHAPES + 1)) + 1):
        shape = int(generator.choice(shapes))
        angle = generator.uniform(0.0, 2.0 * np.pi)
        radius = fine * generator.uniform(*_RADIUS)
        center = fine * generator.uniform(_BORDER, 1.0 - _BORDER, 2)
        mask = Image.new("1", (fine, fine), 0)
        pen = ImageDraw.Draw(mask)
        rotation = np.array([(np.cos(angle), np.sin(angle)), (-np.sin(angle), np.cos(angle))])
        for fill, outline in zip((1, 0), draw_functions[shape](generator), strict=False):
            pen.polygon([tuple(point) for point in (center + radius * outline @ rotation).tolist()], fill=fill)
        canvas.paste(layer, mask=mask)
        classes.append(shape + 1)
    return np.asarray(canvas), classes


def _recolor(texture: np.ndarray, generator: np.random.Generator, *, color: np.ndarray | None) -> np.ndarray:
    """Changes the contrast of each channel and the mean color: `color` [3] in [0, 255], or a random one."""
    mean = texture.mean(axis=(0, 1), dtype=np.float32)
    contrast = generator.uniform(0.3, 0.9) * generator.uniform(0.7, 1.3, 3)
    target = generator.uniform(20.0, 235.0, 3) if color is None else color
    recolored = (texture - mean) * contrast.astype(np.float32) + target.astype(np.float32)
    return np.rint(np.clip(recolored, 0.0, 255.0)).astype(np.uint8)
