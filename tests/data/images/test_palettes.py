"""Palettes: published colors, and labels that survive being shown as colors."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sirr_jax.data.images.palettes import bit_palette, colorize, palette, to_labels
from sirr_jax.errors import UserError


def test_published_colors():
    # PASCAL VOC's own list; its formula in the SGRRN specification, section 9.4, covers the first 64 classes.
    assert bit_palette(22)[[0, 1, 2, 3, 8, 15, 20]].tolist() == [
        *([0, 0, 0], [128, 0, 0], [0, 128, 0], [128, 128, 0], [64, 0, 0], [192, 128, 128], [0, 64, 128])
    ]
    for label, color in enumerate(bit_palette(64).tolist()):
        b = [(label >> bit) & 1 for bit in range(6)]
        assert color == [b[0] * 128 + b[3] * 64, b[1] * 128 + b[4] * 64, b[2] * 128 + b[5] * 64]
    assert palette(19)[[1, 10, 17, 18]].tolist() == [[0, 0, 153], [102, 204, 0], [204, 0, 0], [0, 204, 0]]
    np.testing.assert_array_equal(palette(19, bgr=True), palette(19)[:, ::-1])


@pytest.mark.parametrize(("classes", "distance"), [(19, 51), (21, 64), (150, 32), (182, 32), (256, 32)])
def test_colors_are_as_far_apart_as_the_specification_says(classes, distance):
    colors = palette(classes).astype(float)
    apart = np.linalg.norm(colors[:, None] - colors[None], axis=-1)
    assert apart[~np.eye(classes, dtype=bool)].min() == distance


@pytest.mark.parametrize("classes", [2, 19, 182, 256])
@pytest.mark.parametrize("bgr", [False, True])
def test_labels_come_back_from_their_colors_and_from_near_ones(classes, bgr):
    rng = np.random.default_rng(classes)
    colors = palette(classes, bgr=bgr)
    labels = rng.integers(0, classes, (9, 31)).astype(np.uint8)
    picture = colorize(labels, colors)
    assert (picture.shape, picture.dtype) == ((9, 31, 3), np.uint8)
    np.testing.assert_array_equal(to_labels(picture, colors), labels)
    # Within half the least distance of 32.
    noisy = picture + rng.uniform(-9.0, 9.0, picture.shape)
    np.testing.assert_array_equal(to_labels(noisy, colors), labels)


def test_nearest_is_nearest_and_of_two_the_lower():
    rng = np.random.default_rng(0)
    colors = palette(150)
    picture = rng.integers(0, 256, (40, 40, 3), np.uint8)
    distances = ((picture[:, :, None].astype(int) - colors.astype(int)) ** 2).sum(axis=-1)
    np.testing.assert_array_equal(to_labels(picture, colors), distances.argmin(axis=-1))


def test_no_class_is_light_gray():
    shown = colorize(np.array([0, 20, 21, 255], np.uint8), palette(21))
    assert shown[2:].tolist() == [[224, 224, 192]] * 2
    assert shown[0].tolist() == [0, 0, 0]


def test_jit_gives_the_same():
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 256, (2, 8, 8)).astype(np.uint8)
    colors = palette(19)
    picture = jax.jit(lambda x: colorize(x, colors))(jnp.asarray(labels))
    assert picture.dtype == jnp.uint8
    np.testing.assert_array_equal(picture, colorize(labels, colors))
    back = jax.jit(lambda x: to_labels(x, colors))(picture)
    assert back.dtype == jnp.uint8
    np.testing.assert_array_equal(back, to_labels(np.asarray(picture), colors))


@pytest.mark.parametrize("classes", [0, 257])
def test_impossible_numbers(classes):
    with pytest.raises(UserError, match=f"palette of {classes} colors"):
        palette(classes)
