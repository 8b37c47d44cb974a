"""Procedural scenes with exact labels: shapes cut from photographs, lying on a photograph.

Ours: what a segmenter can be trained on without a labelled data set. The class of a pixel is the outline of the shape
that it belongs to; the pictures within say nothing about it, unless hints are asked for: then shapes of a kind often
have a color in common, as grass and sky have, which is learned in minutes.
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

_MOST_SHAPES = 6
_MOST_KINDS = 3
# Outlines are drawn on a canvas this many times as fine; a pixel's color is the mean of its parts.
_FINER = 4
_RADIUS = (0.12, 0.32)
# Between this and one less this, as a share of the side, lie the middles of the shapes.
_BORDER = 0.1
_RECOLORED = 0.7
# Typical colors of the shapes, in the order of `SHAPES`.
_COLORS = np.array([(200, 60, 50), (60, 170, 70), (60, 90, 200), (220, 190, 60), (180, 70, 180), (70, 190, 190)])
_COLOR_SPREAD = 25.0

_Outlines = tuple[np.ndarray, ...]


def _turned(angles: np.ndarray, radii: np.ndarray | float) -> np.ndarray:
    return np.stack([np.cos(angles), np.sin(angles)], axis=-1) * np.reshape(radii, (-1, 1))


def _circle(radius: float) -> np.ndarray:
    return _turned(np.linspace(0.0, 2.0 * np.pi, 64, endpoint=False), radius)


def _disc(generator: np.random.Generator) -> _Outlines:
    return (_circle(1.0) * (1.0, generator.uniform(0.8, 1.0)),)


def _rectangle(generator: np.random.Generator) -> _Outlines:
    half = np.array([1.0, generator.uniform(0.45, 1.0)])
    corners = np.array([(-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0)])
    return (corners * half * min(1.0, 1.2 / np.hypot(*half)),)


def _triangle(generator: np.random.Generator) -> _Outlines:
    angles = 2.0 * np.pi / 3.0 * np.arange(3) + generator.uniform(-0.3, 0.3, 3)
    return (_turned(angles, 1.1),)


def _star(generator: np.random.Generator) -> _Outlines:
    radii = np.tile([1.1, generator.uniform(0.4, 0.5)], 5)
    return (_turned(np.pi / 5.0 * np.arange(10), radii),)


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
"""Shapes by name: each draws an outline [n, 2] and perhaps that of a hole, within about 1 of the origin."""

SCENE_CLASSES = ("background", *SHAPES)
"""Names of the classes of scenes."""


class SceneSource:
    """Scenes, a `LabelledSource`: each its own, from its index and the seed alone.

    A scene holds 2 to 6 shapes of at most three kinds, over a crop of one photograph, at random places, sizes and
    turns. Later shapes cover earlier ones. Each shape is filled with a crop of another photograph, most of them
    recolored. A pixel's color is the mean over the parts of shapes that share it; its label is the class of most of
    it, and the lower one of two that share it alike.
    """

    def __init__(self, photos: PhotoSource, *, count: int, size: int, seed: int, hint: float = 0.0) -> None:
        """Makes a source.

        Args:
          photos: What the background and the shapes are cut from.
          count: Number of scenes.
          size: Side of a scene in pixels, 16 or more. Smaller photographs are enlarged.
          seed: Sources of different seeds have different scenes.
          hint: Share of the shapes, 0 to 1, that have the typical color of their kind.

        Raises:
          UserError: A value is out of range.
        """
        if count < 1:
            raise UserError(f"data.scenes.count={count}: expected 1 or more scenes")
        if size < 16:
            raise UserError(f"data.scenes.size={size}: expected 16 or more pixels, or no shape can be told")
        if not 0.0 <= hint <= 1.0:
            raise UserError(f"data.scenes.hint={hint}: expected a share from 0 to 1")
        self._hint = hint
        self._photos = photos
        self._count = count
        self._size = size
        self._key = StreamKey(seed, "scenes")

    @property
    def classes(self) -> int:
        """Number of classes: one for each kind of shape, and 0 for the background."""
        return len(SCENE_CLASSES)

    def __len__(self) -> int:
        return self._count

    def name(self, index: int) -> str:
        """Number of a scene."""
        return f"scene {index}"

    def read(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Makes a scene, uint8 `[size, size, 3]`, and its labels, uint8 `[size, size]`.

        Raises:
          UserError: A photograph cannot be decoded.
        """
        generator = self._key.generator("scene", index)
        layers, classes = _drawn(generator, self._size)
        textures = self._textures(generator, classes)
        size, parts = self._size, _FINER * _FINER
        picture = np.zeros((size, size, 3), np.float32)
        votes = np.zeros((self.classes, size, size), np.uint8)
        for layer, (label, texture) in enumerate(zip(classes, textures, strict=True)):
            # Rows first: that sum runs over neighbors in memory.
            columns = (layers == layer).reshape(size, _FINER, -1).sum(axis=1, dtype=np.uint8)
            shares = columns.reshape(size, size, _FINER).sum(axis=-1, dtype=np.uint8)
            picture += (shares / np.float32(parts))[..., None] * texture
            votes[label] += shares
        return np.rint(picture).astype(np.uint8), np.argmax(votes, axis=0).astype(np.uint8)

    def _textures(self, generator: np.random.Generator, classes: list[int]) -> list[np.ndarray]:
        """The background's picture and those of the shapes: uint8 `[size, size, 3]`, from up to three photographs."""
        chosen = generator.choice(len(self._photos), min(3, len(self._photos)), replace=False).tolist()
        photos = {index: self._photos.read(index) for index in chosen}
        background, *others = chosen
        textures = []
        for place, label in enumerate(classes):
            index = background if not place or not others else others[int(generator.integers(len(others)))]
            photo = photos[index]
            name = self._photos.name(index)
            region = draw_region(generator, photo.shape[:2], canvas=self._size, crop=1, max_scale=4.0, name=name)
            texture = cut(photo, region, self._size)
            if place and self._hint > 0 and generator.random() < self._hint:
                color = generator.normal(_COLORS[label - 1], _COLOR_SPREAD)
                textures.append(_recolored(texture, generator, color=color))
            elif place and generator.random() < _RECOLORED:
                textures.append(_recolored(texture, generator, color=None))
            else:
                textures.append(texture)
        return textures


def _drawn(generator: np.random.Generator, size: int) -> tuple[np.ndarray, list[int]]:
    """The layer on top at each point of the finer canvas, uint8 `[fine, fine]`, and the class of each layer."""
    kinds = generator.choice(len(SHAPES), int(generator.integers(1, _MOST_KINDS + 1)), replace=False)
    draw = list(SHAPES.values())
    fine = size * _FINER
    canvas = Image.new("L", (fine, fine), 0)
    classes = [0]
    for layer in range(1, int(generator.integers(2, _MOST_SHAPES + 1)) + 1):
        kind = int(generator.choice(kinds))
        turn = generator.uniform(0.0, 2.0 * np.pi)
        radius = fine * generator.uniform(*_RADIUS)
        middle = fine * generator.uniform(_BORDER, 1.0 - _BORDER, 2)
        mask = Image.new("1", (fine, fine), 0)
        pen = ImageDraw.Draw(mask)
        turned = np.array([(np.cos(turn), np.sin(turn)), (-np.sin(turn), np.cos(turn))])
        for inside, outline in zip((1, 0), draw[kind](generator), strict=False):
            pen.polygon([tuple(point) for point in (middle + radius * outline @ turned).tolist()], fill=inside)
        canvas.paste(layer, mask=mask)
        classes.append(kind + 1)
    return np.asarray(canvas), classes


def _recolored(texture: np.ndarray, generator: np.random.Generator, *, color: np.ndarray | None) -> np.ndarray:
    """Another contrast in each channel, and another mean: `color` [3] on the scale 0 to 255, or any."""
    mean = texture.mean(axis=(0, 1), dtype=np.float32)
    contrast = generator.uniform(0.3, 0.9) * generator.uniform(0.7, 1.3, 3)
    wanted = generator.uniform(20.0, 235.0, 3) if color is None else color
    moved = (texture - mean) * contrast.astype(np.float32) + wanted.astype(np.float32)
    return np.rint(np.clip(moved, 0.0, 255.0)).astype(np.uint8)
