from __future__ import annotations

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from sirr_jax.synthesis.multiview import MultiviewOptions, draw_geometry
from sirr_jax.synthesis.multiview.geometry import (
    apply_homography,
    inside_frame,
    invert_homography,
    plane_homography,
    rotation_matrix,
)
from sirr_jax.synthesis.ops.grid import pixel_grid

OPTIONS = MultiviewOptions()
COUNT = 600
# Without optimization, because the programs run once.
QUICK = {"xla_backend_optimization_level": 0}


def draw(options):
    keys = jax.random.split(jax.random.key(0), COUNT)
    draw_all = jax.jit(jax.vmap(functools.partial(draw_geometry, options=options)), compiler_options=QUICK)
    return jax.tree.map(np.asarray, draw_all(keys))


@pytest.fixture(scope="module")
def geometries():
    return draw(OPTIONS)


@pytest.fixture(scope="module")
def flows(geometries):
    """Flows of the background of the transmission and of the reflection, [COUNT, 2, points, 2], on a coarse grid."""
    points = pixel_grid(256, 256)[8::24, 8::24].reshape(-1, 2)
    flow = jax.jit(jax.vmap(jax.vmap(lambda homography: apply_homography(homography, points) - points)))
    return np.asarray(flow(geometries.homographies_t[:, :, 0])), np.asarray(flow(geometries.homographies_r))


def test_layers_move_differently_in_most_sequences(flows):
    difference = np.linalg.norm(flows[0] - flows[1], axis=-1).mean(axis=(1, 2))
    assert np.mean(difference > 1) >= 0.85


def test_flow_sizes_equal_the_specification(flows):
    """Medians of 3.2, 5.8 and 4.2 pixels; no flow exceeds the margin of 64 pixels."""
    sizes = [np.linalg.norm(f, axis=-1).mean(axis=(1, 2)) for f in (*flows, flows[0] - flows[1])]
    for size, median in zip(sizes, (3.2, 5.8, 4.2), strict=True):
        assert 0.7 * median < np.median(size) < 1.4 * median
    assert np.linalg.norm(flows[0], axis=-1).max() < 64
    assert np.linalg.norm(flows[1], axis=-1).max() < 64


def test_motion_has_no_preferred_direction_and_reverses_with_time(flows):
    center = flows[1][:, :, 60]
    error = center.std(axis=0) / np.sqrt(COUNT)
    assert np.all(np.abs(center.mean(axis=0)) < 5 * error)
    along_time = np.corrcoef(center[:, 0, 0], center[:, 1, 0])[0, 1]
    assert along_time < -0.8


def test_parallax_is_sufficient_except_for_ambiguous_sequences(geometries):
    shift = geometries.path.focal * geometries.path.baseline
    parallax = np.abs(shift / geometries.depth_r - shift / geometries.depths_t[:, 0])
    lacking = np.mean(parallax < 1 - 1e-4)
    # The first draws lack it in about half of the cases, and a tenth of the sequences keep their first draw.
    assert 0.01 < lacking < 0.1


def test_ambiguity_and_jitter_can_be_disabled(geometries):
    plain = draw(dataclasses.replace(OPTIONS, ambiguous_probability=0.0, jitter_probability=0.0))
    shift = plain.path.focal * plain.path.baseline
    assert np.mean(np.abs(shift / plain.depth_r - shift / plain.depths_t[:, 0]) < 1 - 1e-4) < 0.005
    same_depth = plain.depth_r == geometries.depth_r
    jittered = np.any(plain.homographies_r != geometries.homographies_r, axis=(1, 2, 3))[same_depth]
    assert same_depth.mean() > 0.85
    assert abs(jittered.mean() - 0.3) < 5 * np.sqrt(0.3 * 0.7 / len(jittered))


def test_drawn_quantities_stay_in_their_ranges(geometries):
    focal = geometries.path.focal
    assert focal.min() >= 128 / np.tan(np.deg2rad(37.5)) - 1e-3
    assert focal.max() <= 128 / np.tan(np.deg2rad(22.5)) + 1e-3
    assert geometries.path.baseline.min() >= 0.015
    assert geometries.path.baseline.max() <= 0.08
    assert geometries.depth_r.min() >= 0.5
    assert geometries.depth_r.max() <= 8
    background, nearest = geometries.depths_t[:, 0], geometries.depths_t.min(axis=1)
    assert background.min() >= 1.5
    assert background.max() <= 12
    assert nearest.min() >= 0.5
    assert np.all(np.diff(geometries.depths_t, axis=1) <= 0), "the background comes first"


def test_plane_homography_equals_projected_points():
    """Points of a plane, moved in space and projected by a pinhole camera, equal those mapped by the homography."""
    options = MultiviewOptions(size=(120, 160))
    rng = np.random.default_rng(0)
    focal, depth = 140.0, 2.5
    turn, step = rng.normal(scale=0.05, size=3), rng.normal(scale=0.1, size=3)
    pixels = rng.uniform(0, 119, size=(20, 2))
    center = np.array([79.5, 59.5])
    space = np.concatenate([(pixels - center) / focal, np.ones((20, 1))], axis=1) * depth
    displaced = space @ Rotation.from_rotvec(turn).as_matrix().T + step
    expected = focal * displaced[:, :2] / displaced[:, 2:] + center

    @jax.jit
    def forth_and_back(focal, turn, step, depth, pixels):
        homography = plane_homography(focal, rotation_matrix(turn), step, depth, options)
        there = apply_homography(homography, pixels)
        return there, apply_homography(invert_homography(homography), there)

    there, back = forth_and_back(*(jnp.asarray(x, jnp.float32) for x in (focal, turn, step, depth, pixels)))
    np.testing.assert_allclose(there, expected, atol=2e-3)
    np.testing.assert_allclose(back, pixels, atol=2e-3)


def test_invert_homography_inverts(geometries):
    points = pixel_grid(256, 256)[::51, ::51].reshape(-1, 2)
    back = jax.jit(jax.vmap(lambda h: apply_homography(invert_homography(h), apply_homography(h, points))))
    error = np.abs(np.asarray(back(geometries.homographies_r[:, 1])) - np.asarray(points)[None])
    assert error.max() < 2e-3


def test_rotation_without_translation_moves_both_layers_equally_up_to_jitter():
    turning = dataclasses.replace(OPTIONS, baseline=(1e-9, 1e-9), jitter_probability=0.5, jitter_translation=0.0)
    geometry = draw(turning)
    camera = geometry.homographies_t[:, :, 0].astype(np.float64)
    for plane in range(1, geometry.homographies_t.shape[2]):
        np.testing.assert_allclose(geometry.homographies_t[:, :, plane], camera, atol=1e-4)
    jitter = geometry.homographies_r @ np.linalg.inv(camera)
    growth = jitter[..., 0, 0] - 1
    none = np.all(np.abs(jitter - np.eye(3)) < 1e-4, axis=(1, 2, 3))
    assert 0.35 < none.mean() < 0.65
    assert 0.002 < growth[~none].std() < 0.004
    np.testing.assert_allclose(jitter[..., :2, 2], -127.5 * np.stack([growth, growth], axis=-1), atol=1e-3)
    sideways = geometry.homographies_t[:, :, 0, 0, 2]
    assert np.abs(sideways).max() > 1
    assert np.corrcoef(sideways[:, 0], sideways[:, 1])[0, 1] < -0.8, "the camera keeps its direction of rotation"


def test_rotation_matrix_equals_scipy_down_to_no_rotation():
    matrix = jax.jit(rotation_matrix)
    for vector in ([0.0, 0.0, 0.0], [1e-7, 0.0, 0.0], [0.01, -0.02, 0.005], [1.0, 2.0, -0.5]):
        expected = Rotation.from_rotvec(vector).as_matrix()
        np.testing.assert_allclose(matrix(jnp.asarray(vector)), expected, atol=1e-6)


def test_inside_frame_is_between_the_outermost_pixel_centers():
    points = jnp.asarray([[0.0, 0.0], [39.0, 19.0], [39.1, 5.0], [-0.1, 5.0], [5.0, 19.1], [5.0, -0.1]])
    expected = [True, True, False, False, False, False]
    np.testing.assert_array_equal(inside_frame(points, options=MultiviewOptions(size=(20, 40))), expected)
