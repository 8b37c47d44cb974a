"""Tests of contact sheets: positions of images, and no upscaling."""

from __future__ import annotations

import numpy as np
import pytest

from sirr_jax.data.images.grid import contact_sheet


@pytest.mark.parametrize("gap", [0, 2])
def test_images_are_laid_out_in_rows(gap):
    rows = np.random.default_rng(0).integers(0, 256, (3, 2, 4, 5, 3), np.uint8)
    sheet = contact_sheet(rows, gap=gap)
    assert sheet.shape == (3 * (4 + gap) - gap, 2 * (5 + gap) - gap, 3)
    for i, row in enumerate(rows):
        for j, image in enumerate(row):
            y, x = i * (4 + gap), j * (5 + gap)
            np.testing.assert_array_equal(sheet[y : y + 4, x : x + 5], image)


def test_rows_may_differ_in_length_and_gaps_are_white():
    black = [np.zeros((4, 6, 3), np.uint8), np.zeros((8, 3), np.uint8), np.zeros((2, 2, 3), np.uint8)]
    sheet = contact_sheet([black[:1], black[1:]], gap=1)
    assert sheet.shape == (4 + 1 + 8, 6 + 1 + 2, 3)
    assert (sheet[:4, :6] == 0).all()
    assert (sheet[:4, 6:] == 255).all()
    assert (sheet[5:, :3] == 0).all()
    assert (sheet[5:7, 7:] == 0).all()
    assert (sheet == 0).sum() == 3 * (24 + 24 + 4)


def test_large_images_are_reduced_and_small_ones_are_not_enlarged():
    sheet = contact_sheet([[np.zeros((40, 80, 3), np.uint8), np.zeros((5, 7, 3), np.uint8)]], gap=0, side=20)
    assert sheet.shape == (10, 20 + 7, 3)
