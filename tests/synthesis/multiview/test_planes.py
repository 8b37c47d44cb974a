from __future__ import annotations

import functools

import jax
import numpy as np
import pytest

from sirr_jax.synthesis.multiview import MultiviewOptions, draw_geometry, draw_planes, layer_motion
from sirr_jax.synthesis.multiview.planes import render_reflection, render_transmission
from sirr_jax.synthesis.ops.smooth_fields import FIELD_TERMS

OPTIONS = MultiviewOptions(size=(28, 32), margin=10, parallax_probability=1.0)
COUNT = 24


def quick_vmap(function):
    """Compiles without optimization, because each program runs once."""
    return jax.jit(jax.vmap(function), compiler_options={"xla_backend_optimization_level": 0})


@pytest.fixture(scope="module")
def scenes():
    """Geometries and planes with their motions; the second half of the scenes has only a background."""
    keys = jax.random.split(jax.random.key(0), COUNT)
    geometry = quick_vmap(functools.partial(draw_geometry, options=OPTIONS))(keys)
    planes = quick_vmap(functools.partial(draw_planes, options=OPTIONS))(keys)
    planes = planes._replace(active=planes.active.at[COUNT // 2 :].set(0.0))
    motion = quick_vmap(functools.partial(layer_motion, options=OPTIONS))(geometry, planes)
    return jax.tree.map(np.asarray, (geometry, planes, motion))


@pytest.fixture(scope="module")
def render():
    def both(canvas, geometry, planes):
        transmission = render_transmission(canvas, geometry, planes, options=OPTIONS)
        return transmission, render_reflection(canvas, geometry, options=OPTIONS)

    return quick_vmap(both)


def canvases(seed=0):
    rng = np.random.default_rng(seed)
    return rng.uniform(size=(COUNT, *OPTIONS.canvas, 3)).astype(np.float32)


def literal_visible(planes, scene, positions):
    """Index of the nearest opaque plane; plane k is evaluated at positions[k] = (x, y), in pixels of frame t."""
    visible = 0
    for k, (x, y) in enumerate(positions[1:]):
        u = (x + OPTIONS.border + 0.5) / OPTIONS.canvas[1]
        v = (y + OPTIONS.border + 0.5) / OPTIONS.canvas[0]
        frequency = np.arange(FIELD_TERMS) * np.pi
        level = np.cos(frequency * v) @ planes.coefficients[scene, k, ..., 0] @ np.cos(frequency * u)
        if planes.active[scene, k] and level > planes.thresholds[scene, k]:
            visible = k + 1
    return visible


def test_flow_and_occlusion_equal_a_literal_loop_over_pixels(scenes):
    geometry, planes, motion = scenes
    rng = np.random.default_rng(2)
    disagreements = checked = hidden = 0
    for scene in range(COUNT // 2):
        for x, y in zip(rng.integers(0, 32, 60), rng.integers(0, 28, 60), strict=True):
            plane = literal_visible(planes, scene, [(x, y)] * 3)
            for s in (0, 1):
                matrices = geometry.homographies_t[scene, s].astype(np.float64)
                target = matrices[plane] @ [x, y, 1]
                target = target[:2] / target[2]
                flow_error = np.abs(motion.flow_t[scene, s, y, x] - (target - [x, y])).max()
                back = [np.linalg.inv(m) @ [*target, 1] for m in matrices]
                nearest = literal_visible(planes, scene, [b[:2] / b[2] for b in back])
                inside = 0 <= target[0] <= 31 and 0 <= target[1] <= 27
                valid = float(inside and nearest <= plane)
                checked += 1
                hidden += inside and not valid
                disagreements += (flow_error > 1e-3) or motion.valid_t[scene, s, y, x] != valid
    # Only points within rounding of an outline or of the border may differ.
    assert hidden > 10
    assert disagreements <= 0.005 * checked


def test_middle_frame_is_a_plain_crop_without_depth_parallax(scenes, render):
    geometry, planes, _ = scenes
    canvas = canvases()
    transmission, reflection = render(canvas, geometry, planes)
    crop = canvas[:, 10:38, 10:42]
    np.testing.assert_array_equal(np.asarray(transmission)[COUNT // 2 :, 1], crop[COUNT // 2 :])
    np.testing.assert_array_equal(np.asarray(reflection)[:, 1], crop)
    changed = np.any(np.asarray(transmission)[: COUNT // 2, 1] != crop[: COUNT // 2], axis=(1, 2, 3))
    assert changed.mean() > 0.7, "a foreground plane shows something else than the background"


def test_neighbors_are_rendered_along_the_flow(scenes, render):
    """Canvases whose colors encode their coordinates make the flow measurable in the rendered frames."""
    geometry, planes, motion = scenes
    height, width = OPTIONS.canvas
    y, x = np.meshgrid(np.arange(height) / height, np.arange(width) / width, indexing="ij")
    canvas = np.broadcast_to(np.stack([x, y, np.zeros_like(x)], axis=-1), (COUNT, height, width, 3)).astype(np.float32)
    transmission, reflection = (np.asarray(layer) for layer in render(canvas, geometry, planes))
    for layer, flow, scenes_used in (
        (transmission, motion.flow_t, range(COUNT // 2, COUNT)),
        (reflection, motion.flow_r, range(COUNT)),
    ):
        for scene in scenes_used:
            for s in (0, 1):
                # Pixel q of frame s has the content of p = q - flow(p); flows are nearly uniform.
                source = layer[scene, 2 * s, 14, 16, :2] * [width, height] - 10
                at = np.round(source).astype(int)
                if 1 <= at[0] < 31 and 1 <= at[1] < 27:
                    np.testing.assert_allclose(source + flow[scene, s, at[1], at[0]], [16, 14], atol=0.05)


def test_reflection_may_exceed_1_and_transmission_may_not(scenes, render):
    geometry, planes, _ = scenes
    transmission, reflection = render(np.round(canvases(1)) * 1.0, geometry, planes)
    assert float(transmission.min()) >= 0
    assert float(transmission.max()) <= 1
    assert float(reflection.min()) >= 0
    assert float(reflection.max()) > 1


def test_plane_probabilities():
    options = MultiviewOptions(size=16)
    keys = jax.random.split(jax.random.key(5), 2000)
    planes = quick_vmap(functools.partial(draw_planes, options=options))(keys)
    two, three = np.asarray(planes.active).mean(axis=0)
    assert abs(two - 0.4) < 5 * np.sqrt(0.4 * 0.6 / 2000)
    assert abs(three - 0.2) < 5 * np.sqrt(0.2 * 0.8 / 2000)
    mirrors = np.asarray(planes.mirrors)
    assert not mirrors[:, 0].any()
    assert mirrors[:, 1:].any(axis=-1).all()
