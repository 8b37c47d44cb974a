"""Rounding and checks that all degradations share."""

from __future__ import annotations

import numpy as np
import pytest

from sirr_jax.errors import UserError
from sirr_jax.synthesis.degradations.base import at_level, check_image, to_uint8


def test_to_uint8_rounds_halves_up_and_saturates():
    below_half = np.nextafter(0.5, 0.0)
    values = np.array([-300.0, -0.5, 0.0, below_half, 0.5, 1.5, 2.5, 2.49, 254.5, 255.4, 1e9, np.inf, -np.inf])
    np.testing.assert_array_equal(to_uint8(values), [0, 0, 0, 0, 1, 2, 3, 2, 255, 255, 255, 255, 0])
    assert to_uint8(values).dtype == np.uint8


def test_at_level_counts_from_1():
    assert [at_level("x", "abc", level) for level in (1, 2, np.int64(3))] == ["a", "b", "c"]


@pytest.mark.parametrize("level", [0, 4, -1, 1.0, "1", None])
def test_invalid_level_raises(level):
    with pytest.raises(UserError, match=rf"level {level!r} of blur: use a whole number from 1 to 3"):
        at_level("blur", "abc", level)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        ([[[0, 0, 0]]], "the image is a list"),
        (np.zeros((4, 4), np.uint8), r"shape \(4, 4\), expected \[height, width, 3\]"),
        (np.zeros((4, 4, 4), np.uint8), r"shape \(4, 4, 4\)"),
        (np.zeros((1, 4, 4, 3), np.uint8), "one RGB image at a time"),
        (np.zeros((0, 4, 3), np.uint8), r"shape \(0, 4, 3\)"),
        (np.zeros((4, 4, 3), np.float32), "the image is float32, expected uint8"),
    ],
)
def test_invalid_image_raises(image, message):
    with pytest.raises(UserError, match=message):
        check_image(image)
