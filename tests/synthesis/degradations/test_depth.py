from __future__ import annotations

import numpy as np
import pytest

from sirr_jax.errors import UserError
from sirr_jax.synthesis.degradations.depth import (
    check_depth,
    disparity_to_depth,
    focal_length,
    photograph_depth,
    procedural_depth,
)


def test_disparity_to_depth_in_meters():
    disparity = np.array([[257, 513, 2561]], np.uint16)
    np.testing.assert_allclose(
        disparity_to_depth(disparity, baseline=0.2, focal=2000.0), [[400.0, 200.0, 40.0]], rtol=1e-6
    )
    # Pixel value 1 has disparity 0; it gets the smallest disparity above 0, 1 / 256.
    far = disparity_to_depth(np.array([[1, 2]], np.uint16), baseline=0.2, focal=2000.0)
    np.testing.assert_allclose(far, [[102400.0, 102400.0]])


def test_gaps_get_the_nearest_depth():
    disparity = np.zeros((1, 6), np.uint16)
    disparity[0, 0], disparity[0, 5] = 257, 513
    np.testing.assert_allclose(
        disparity_to_depth(disparity, baseline=0.2, focal=2000.0), [[400.0] * 3 + [200.0] * 3], rtol=1e-6
    )


@pytest.mark.parametrize(
    "wrong", [np.zeros((4, 4), np.uint16), np.ones((4, 4), np.uint8), np.ones((4, 4, 3), np.uint16), np.ones((4, 4))]
)
def test_invalid_disparity_raises(wrong):
    with pytest.raises(UserError, match="disparity"):
        disparity_to_depth(wrong)


def test_procedural_depth_decreases_towards_the_bottom_and_depends_on_the_seed():
    for seed in range(20):
        depth = procedural_depth(np.random.default_rng(seed), 48, 96)
        assert depth.shape == (48, 96)
        assert depth.dtype == np.float32
        assert 2.0 <= depth.min() < depth.max() <= 250.0
        assert depth[-1].mean() < depth[0].mean()
    again = procedural_depth(np.random.default_rng(19), 48, 96)
    np.testing.assert_array_equal(depth, again)
    assert (depth != procedural_depth(np.random.default_rng(18), 48, 96)).any()


def test_procedural_depth_without_boxes_is_a_plane_and_a_background():
    depth = procedural_depth(np.random.default_rng(0), 200, 400, boxes=(0, 0)).astype(np.float64)
    assert (depth == depth[:, :1]).all()
    assert (np.diff(depth[:, 0]) <= 0).all()
    # The inverse depth of a plane grows linearly with the row, by 1 / (camera height * focal length).
    slope = np.diff(1.0 / depth[-20:, 0])
    np.testing.assert_allclose(slope, 1.0 / (1.5 * focal_length(400)), rtol=1e-2)
    with pytest.raises(UserError, match="boxes"):
        procedural_depth(np.random.default_rng(0), 20, 20, boxes=(3, 1))


def test_relief_is_a_smooth_factor_on_the_depth():
    plain = procedural_depth(np.random.default_rng(3), 120, 160, boxes=(0, 0)).astype(np.float64)
    depth = procedural_depth(np.random.default_rng(3), 120, 160, boxes=(0, 0), relief=0.2)
    inside = (depth > 2.0) & (depth < 250.0) & (plain > 2.0)
    factor = np.where(inside, np.log(depth / plain), np.nan)
    assert abs(np.nanmean(factor)) < 0.05
    assert 0.15 < np.nanstd(factor) < 0.25
    steps = np.concatenate([np.diff(factor, axis=axis).ravel() for axis in (0, 1)])
    assert np.nanmax(np.abs(steps)) < 0.1
    with pytest.raises(UserError, match="relief"):
        procedural_depth(np.random.default_rng(0), 20, 20, relief=-1.0)


@pytest.mark.parametrize("shape", [(1, 1), (2, 50), (90, 60)])
def test_photograph_depth_of_any_size(shape):
    for seed in range(10):
        depth = photograph_depth(np.random.default_rng(seed), *shape)
        assert depth.shape == shape
        assert depth.dtype == np.float32
        assert 2.0 <= depth.min() <= depth.max() <= 250.0
        np.testing.assert_array_equal(depth, photograph_depth(np.random.default_rng(seed), *shape))


def test_check_depth_rejects_wrong_sizes_and_values():
    image = np.zeros((4, 6, 3), np.uint8)
    check_depth(np.ones((4, 6)), image)
    for wrong in (np.ones((6, 4)), np.zeros((4, 6)), np.full((4, 6), np.nan), np.full((4, 6), np.inf)):
        with pytest.raises(UserError, match="depth"):
            check_depth(wrong, image)
