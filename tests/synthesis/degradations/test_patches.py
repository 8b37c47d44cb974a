"""Displaced patches and blocks: types 14 and 15."""

from __future__ import annotations

import numpy as np
import pytest

from sirr_jax.synthesis.degradations import degrade


def degraded(image, kind, level, seed=0):
    return degrade(image, kind, level=level, generator=np.random.default_rng(seed))


@pytest.mark.parametrize(("level", "count"), [(1, 30), (2, 70), (3, 150), (4, 300)])
def test_pattern_noise_copies_patches_from_five_pixels_away(level, count):
    y, x = np.mgrid[:250, :256]
    image = np.stack([x, y, np.zeros_like(x)], axis=-1).astype(np.uint8)
    covered = np.zeros((250, 256), bool)
    total = 0
    for seed in range(8):
        noisy = degraded(image, "pattern_noise", level, seed)
        hit = np.any(noisy != image, axis=-1)
        rows, columns = np.nonzero(hit)
        np.testing.assert_array_equal(noisy[hit], image[rows + 5, columns + 5])
        assert hit.sum() <= count * 225
        total += hit.sum()
        covered |= hit
    # Squares of 15 x 15 at random positions among the 230 x 236 with 15 + 5 pixels left.
    starts_y, starts_x = 250 - 19, 256 - 19
    row, column = np.arange(245), np.arange(251)
    ways_y = np.minimum(row, starts_y - 1) - np.maximum(row - 14, 0) + 1
    ways_x = np.minimum(column, starts_x - 1) - np.maximum(column - 14, 0) + 1
    chance = ways_y[:, None] * ways_x / (starts_y * starts_x)
    assert total / 8 == pytest.approx(np.sum(1 - (1 - chance) ** count), rel=0.05)
    # The last 5 rows and columns are never replaced.
    assert not covered[-5:].any()
    assert not covered[:, -5:].any()


@pytest.mark.parametrize(("level", "count", "red"), [(1, 2, None), (2, 4, 50), (3, 8, 30), (4, 16, 0), (5, 32, 0)])
def test_local_blocks_have_the_published_number_and_color(level, count, red):
    y, x = np.mgrid[:1500, :1600]
    # No pixel has the mean color.
    image = np.where((x + y)[..., None] % 2, (100, 90, 31), (140, 94, 60)).astype(np.uint8)
    # With this seed no blocks overlap.
    blocked = degraded(image, "local_blocks", level, seed=0)
    hit = np.any(blocked != image, axis=-1)
    assert hit.sum() == count * 32 * 32
    # The means are 120, 92 and 45.5, rounded up.
    color = (0 if red is None else 120 + red, 92, 46)
    np.testing.assert_array_equal(np.unique(blocked[hit], axis=0), [color])
    corners = hit & ~np.roll(hit, 1, 0) & ~np.roll(hit, 1, 1)
    for top, left in np.argwhere(corners):
        assert hit[top : top + 32, left : left + 32].all()


def test_red_of_local_blocks_saturates():
    image = np.full((40, 33, 3), (250, 10, 20), np.uint8)
    blocked = degraded(image, "local_blocks", 2)
    assert {tuple(color) for color in blocked.reshape(-1, 3)} <= {(250, 10, 20), (255, 10, 20)}
    assert np.any(blocked != image)


def test_squares_are_reduced_to_fit_small_images():
    image = np.random.default_rng(0).integers(0, 256, (12, 50, 3), dtype=np.uint8)
    noisy = degraded(image, "pattern_noise", 4)
    np.testing.assert_array_equal(noisy[:7, :45], image[5:, 5:])
    np.testing.assert_array_equal(noisy[7:], image[7:])
    blocked = degraded(image, "local_blocks", 4)
    assert np.all(blocked[:, 25] == np.floor(image.reshape(-1, 3).mean(axis=0) + 0.5))
