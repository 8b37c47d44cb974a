from __future__ import annotations

import numpy as np
import pytest

from sirr_jax.data.images.quality import is_nearly_black


@pytest.mark.parametrize(("bright", "expected"), [(0, True), (1, True), (2, False)])
def test_nearly_black_image_may_have_one_percent_bright_pixels(bright, expected):
    image = np.full((10, 10, 3), 7, np.uint8)
    image.reshape(-1, 3)[:bright] = 255
    assert is_nearly_black(image) is expected


def test_dark_pixels_are_dark_in_all_channels():
    image = np.zeros((10, 10, 3), np.uint8)
    image[:, 0, 2] = 8
    assert not is_nearly_black(image)


def test_dark_threshold_is_eight():
    assert is_nearly_black(np.full((4, 4, 3), 7, np.uint8))
    assert not is_nearly_black(np.full((4, 4, 3), 8, np.uint8))


def test_large_images_are_sampled():
    image = np.zeros((1024, 2048, 3), np.uint8)
    image[:, 1000:1500] = 200
    assert not is_nearly_black(image)
    assert is_nearly_black(image[:, :1000])
