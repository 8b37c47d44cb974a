"""Tests of palettes: published colors, and the round trip from labels to colors and back."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sirr_jax.errors import UserError
from sirr_jax.layers.palettes import bit_palette, colorize, palette, to_labels


def test_published_colors():
    # The list of PASCAL VOC; its formula in the SGRRN specification, section 9.4, covers the first 64 classes.
    assert bit_palette(22)[[0, 1, 2, 3, 8, 15, 20]].tolist() == [
        *([0, 0, 0], [128, 0, 0], [0, 128, 0], [128, 128, 0], [64, 0, 0], [192, 128, 128], [0, 64, 128])
    ]
    for label, color in enumerate(bit_palette(64).tolist()):
        b = [(label >> bit) & 1 for bit in range(6)]
        assert color == [b[0] * 128 + b[3] * 64, b[1] * 128 + b[4] * 64, b[2] * 128 + b[5] * 64]
    assert palette(19)[[1, 10, 17, 18]].tolist() == [[0, 0, 153], [102, 204, 0], [204, 0, 0], [0, 204, 0]]
    np.testing.assert_array_equal(palette(19, bgr=True), palette(19)[:, ::-1])


@pytest.mark.parametrize(("classes", "distance"), [(19, 51), (21, 64), (150, 32), (182, 32), (256, 32)])
def test_color_distances_match_the_specification(classes, distance):
    colors = palette(classes).astype(float)
    apart = np.linalg.norm(colors[:, None] - colors[None], axis=-1)
    assert apart[~np.eye(classes, dtype=bool)].min() == distance


@pytest.mark.parametrize("classes", [2, 19, 182, 256])
@pytest.mark.parametrize("bgr", [False, True])
def test_labels_are_recovered_from_exact_and_noisy_colors(classes, bgr):
    rng = np.random.default_rng(classes)
    colors = palette(classes, bgr=bgr)
    labels = rng.integers(0, classes, (9, 31)).astype(np.uint8)
    picture = colorize(labels, colors)
    assert (picture.shape, picture.dtype) == ((9, 31, 3), np.uint8)
    np.testing.assert_array_equal(to_labels(picture, colors), labels)
    # Within half of the smallest distance, 32.
    noisy = picture + rng.uniform(-9.0, 9.0, picture.shape)
    np.testing.assert_array_equal(to_labels(noisy, colors), labels)


def test_to_labels_finds_the_nearest_color_and_the_lower_class_of_ties():
    rng = np.random.default_rng(0)
    colors = palette(150)
    picture = rng.integers(0, 256, (40, 40, 3), np.uint8)
    distances = ((picture[:, :, None].astype(int) - colors.astype(int)) ** 2).sum(axis=-1)
    np.testing.assert_array_equal(to_labels(picture, colors), distances.argmin(axis=-1))


def test_pixels_without_a_class_are_light_gray():
    colors = colorize(np.array([0, 20, 21, 255], np.uint8), palette(21))
    assert colors[2:].tolist() == [[224, 224, 192]] * 2
    assert colors[0].tolist() == [0, 0, 0]


def test_jit_matches_numpy():
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
def test_number_of_classes_out_of_range(classes):
    with pytest.raises(UserError, match=f"palette of {classes} colors"):
        palette(classes)
