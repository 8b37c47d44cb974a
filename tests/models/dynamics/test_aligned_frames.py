"""Features of aligned frames, and the model arguments of grown teachers."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sirr_jax.errors import UserError
from sirr_jax.models import build
from sirr_jax.models.dynamics.aligned_frames import AlignedFrames
from tests.helpers.networks import compile_apply, images, parameter_shapes, random_parameters

SIZE = 32
SHAPES = ((1, 3, SIZE, SIZE, 3), (1, 2, SIZE // 4, SIZE // 4, 2), (1, 2, SIZE // 4, SIZE // 4, 2))


@pytest.fixture(scope="module")
def describe():
    module = AlignedFrames(4)
    flows = tuple(jax.ShapeDtypeStruct(s, jnp.float32) for s in SHAPES[1:])
    shapes = jax.eval_shape(module.init, jax.random.key(0), jax.ShapeDtypeStruct(SHAPES[0], jnp.float32), flows)
    rng = np.random.default_rng(0)
    params = jax.tree.map(lambda x: 0.2 * rng.standard_normal(x.shape).astype(np.float32), shapes["params"])
    apply = jax.jit(module.apply)
    return lambda frames, *flow: np.asarray(apply({"params": params}, frames, flow))


def shifted(scene, shifts):
    """Three frames of a scene [rows, columns, 3], shifted by the given numbers of columns."""
    return np.stack([np.roll(scene, shift, axis=1) for shift in shifts])[None]


def flow_of(columns):
    """The flow of such shifts, in quarter-resolution pixels."""
    flow = np.zeros(SHAPES[1], np.float32)
    flow[0, :, :, :, 0] = np.asarray(columns, np.float32)[:, None, None] / 4.0
    return flow


def test_known_motion_is_removed(describe):
    scene = images(0, SIZE, SIZE, 3)
    zero_flow = flow_of((0, 0))
    expected = describe(shifted(scene, (0, 0, 0)), zero_flow, zero_flow)
    moving, flow = shifted(scene, (4, 0, -4)), flow_of((4, -4))
    # Without the columns at the edges, where the neighbors are invalid, and their surroundings.
    inner = np.s_[:, 2:-2, 3:-3]
    np.testing.assert_allclose(describe(moving, flow, flow)[inner], expected[inner], atol=1e-5)
    assert np.abs(describe(moving, zero_flow, zero_flow)[inner] - expected[inner]).max() > 0.01


def test_output_depends_on_each_flow_and_each_neighbor(describe):
    frames, flows = images(1, *SHAPES[0]), [flow_of((2, 1)), flow_of((-1, 3))]
    before = describe(frames, *flows)
    for layer in range(2):
        for neighbor in range(2):
            other = [flow.copy() for flow in flows]
            other[layer][:, neighbor] += 1.0
            assert np.abs(describe(frames, *other) - before).max() > 1e-3


def test_pixels_outside_the_frame_are_ignored(describe):
    away = flow_of((1000, -1000))
    one, other = images(2, *SHAPES[0]), images(3, *SHAPES[0])
    other[:, 1] = one[:, 1]
    np.testing.assert_array_equal(describe(one, away, away), describe(other, away, away))


def test_aligned_frames_are_an_input_of_the_fusion_net():
    frames = (1, 3, 16, 16, 3)
    plain, with_frames = (build("dynamics/teacher", width="tiny", **more) for more in ({}, {"aligned_frames": True}))
    trees = [jax.tree.map(lambda x: x.shape, parameter_shapes(module, frames)) for module in (plain, with_frames)]
    fusion = trees[1].pop("fusion")
    assert fusion.pop("aligned_frames") == {
        "pixels": {"kernel": (4, 4, 21, 32), "bias": (32,)},
        "around": {"kernel": (3, 3, 32, 32), "bias": (32,)},
    }
    before = trees[0].pop("fusion")
    assert trees[0] == trees[1]
    assert fusion.pop("knowledge")["kernel"][2] == before.pop("knowledge")["kernel"][2] + 32
    assert fusion == before

    params = random_parameters(with_frames, frames)
    apply = compile_apply(with_frames, params, images(4, *frames))
    knowledge = [apply(params, images(seed, *frames))["knowledge"] for seed in (4, 5)]
    assert np.abs(knowledge[0] - knowledge[1]).max() > 0.01


def test_hypercolumn_needs_a_grown_teacher():
    with pytest.raises(UserError, match=r"hypercolumn='caffe' needs a grown teacher; set grown=True"):
        build("dynamics/teacher", width="tiny", hypercolumn="caffe")
    with pytest.raises(UserError, match="hypercolumn is 'other', expected a convention"):
        build("dynamics/teacher", width="tiny", grown=True, hypercolumn="other")
    tree = parameter_shapes(build("dynamics/teacher", width="tiny", grown=True, hypercolumn="caffe"), (1, 3, 16, 16, 3))
    student = parameter_shapes(build("dynamics/student", width="tiny", hypercolumn="caffe"), (1, 16, 16, 3))
    shared = {name: tree[name] for name in student}
    assert jax.tree.map(lambda x: x.shape, shared) == jax.tree.map(lambda x: x.shape, student)
