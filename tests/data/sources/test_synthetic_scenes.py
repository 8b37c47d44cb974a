"""Tests of synthetic scenes: reproducibility, exact labels, and classes that only the outline determines."""

from __future__ import annotations

import numpy as np
import pytest

from sirr_jax.data.sources import synthetic_scenes
from sirr_jax.data.sources.photos import FolderPhotos
from sirr_jax.data.sources.synthetic_scenes import SCENE_CLASSES, SHAPES, SceneSource
from sirr_jax.errors import UserError
from tests.helpers.photo_files import write


@pytest.fixture
def plain_photos(tmp_path):
    """Photos of one color each, which identify the texture of a pixel."""
    for number, color in enumerate(((250, 10, 10), (10, 250, 10), (10, 10, 250))):
        write(tmp_path / f"{number}.png", np.full((40, 50, 3), color, np.uint8))
    return FolderPhotos(tmp_path)


def test_scenes_are_reproducible_and_differ(plain_photos):
    source = SceneSource(plain_photos, count=5, size=32, seed=3)
    assert (len(source), source.classes, source.name(2)) == (5, len(SCENE_CLASSES), "scene 2")
    scenes = [source.read(index) for index in range(5)]
    for index in (4, 0):
        again = SceneSource(plain_photos, count=9, size=32, seed=3).read(index)
        for one, other in zip(again, scenes[index], strict=True):
            np.testing.assert_array_equal(one, other)
    assert len({labels.tobytes() for _, labels in scenes}) == 5
    other_seed, _ = SceneSource(plain_photos, count=5, size=32, seed=4).read(0)
    assert (other_seed != scenes[0][0]).any()


def test_scene_shapes_dtypes_and_class_frequencies(plain_photos):
    source = SceneSource(plain_photos, count=60, size=48, seed=0)
    pixels = np.zeros(len(SCENE_CLASSES), int)
    for index in range(60):
        photo, labels = source.read(index)
        assert (photo.shape, photo.dtype, labels.shape, labels.dtype) == ((48, 48, 3), np.uint8, (48, 48), np.uint8)
        present = np.unique(labels)
        assert present.max() < source.classes
        assert len(present[present > 0]) in (1, 2, 3)
        pixels += np.bincount(labels.reshape(-1), minlength=source.classes)
    share = pixels / pixels.sum()
    assert 0.4 < share[0] < 0.85
    assert (share[1:] > 0.02).all()


def test_labels_are_the_majority_class_of_a_pixel(plain_photos, monkeypatch):
    # Only the top shape in an unchanged color: the color of a pixel gives the fraction that the shape covers.
    def only_top(generator, size):
        layers, classes = draw_layers(generator, size)
        return (layers == len(classes) - 1).astype(np.uint8), [0, classes[-1]]

    draw_layers = synthetic_scenes._draw_layers
    monkeypatch.setattr(synthetic_scenes, "_RECOLOR_PROBABILITY", 0.0)
    monkeypatch.setattr(synthetic_scenes, "_draw_layers", only_top)
    for index in range(20):
        photo, labels = SceneSource(plain_photos, count=20, size=40, seed=1).read(index)
        background = photo[labels == 0].reshape(-1, 3)[0].astype(float)
        shape = photo[labels > 0].reshape(-1, 3)
        values, counts = np.unique(shape, axis=0, return_counts=True)
        color = values[counts.argmax()].astype(float)
        covered = (photo - background) @ (color - background) / np.sum((color - background) ** 2)
        assert ((covered > 0.51) <= (labels > 0)).all()
        assert ((covered < 0.49) <= (labels == 0)).all()
        # Edges are antialiased.
        assert ((covered > 0.1) & (covered < 0.9)).sum() > 5


@pytest.mark.parametrize("name", SHAPES)
def test_outlines_are_centered_and_differ_in_area(name):
    areas = []
    for seed in range(30):
        outlines = SHAPES[name](np.random.default_rng(seed))
        assert all(np.linalg.norm(outline, axis=-1).max() <= 1.21 for outline in outlines)
        x, y = outlines[0].T
        areas.append(0.5 * abs(np.sum(x * np.roll(y, 1) - y * np.roll(x, 1))))
    low, high = {
        "disc": (2.4, 3.2),
        "rectangle": (1.7, 2.9),
        "triangle": (1.0, 1.6),
        "star": (1.2, 1.8),
        "ring": (3.1, 3.2),
        "cross": (1.5, 2.4),
    }[name]
    assert low < min(areas) <= max(areas) < high


@pytest.mark.parametrize("options", [{"count": 0, "size": 32}, {"count": 3, "size": 8}])
def test_values_out_of_range(plain_photos, options):
    with pytest.raises(UserError, match=r"data\.scenes\.(count=0|size=8): expected"):
        SceneSource(plain_photos, seed=0, **options)


def test_hints_give_each_class_a_typical_color(photo_folder):
    photos = FolderPhotos(photo_folder)
    plain, hinted = (SceneSource(photos, count=40, size=32, seed=0, hint=hint) for hint in (0.0, 1.0))
    colors = {}
    for index in range(40):
        picture, labels = hinted.read(index)
        for label in np.unique(labels[labels > 0]):
            colors.setdefault(int(label), []).append(picture[labels == label].mean(axis=0))
        np.testing.assert_array_equal(plain.read(index)[1].shape, labels.shape)
    means = {label: np.mean(class_colors, axis=0) for label, class_colors in colors.items()}
    assert means.keys() == set(range(1, 7))
    for label, mean in means.items():
        nearest = min(means, key=lambda other: np.abs(means[other] - colors[label]).mean())
        assert nearest == label, mean
    with pytest.raises(UserError, match=r"data\.scenes\.hint=1\.5: expected a fraction from 0 to 1"):
        SceneSource(photos, count=1, size=32, seed=0, hint=1.5)
