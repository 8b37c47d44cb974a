"""The warp against its definition, and with the exact motions of the multi-view generator."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.test_util import check_grads

from sirr_jax.layers.warp import warp
from sirr_jax.synthesis.multiview import MultiviewOptions, draw_geometry, draw_planes, layer_motion
from tests.helpers import literal

jit_warp = jax.jit(warp)
SIZE = (5, 7)


def image(seed, *, size=SIZE, batch=2):
    return np.random.default_rng(seed).standard_normal((batch, *size, 3)).astype(np.float32)


def constant(u, v, *, size=SIZE, batch=2):
    return np.broadcast_to(np.array([u, v], np.float32), (batch, *size, 2))


def test_zero_flow_is_the_identity():
    x = image(0)
    warped, valid = jit_warp(x, constant(0, 0))
    np.testing.assert_array_equal(warped, x)
    assert np.all(valid == 1.0)


@settings(max_examples=20, deadline=None)
@given(u=st.integers(-9, 9), v=st.integers(-9, 9))
def test_constant_integer_flow_shifts_and_repeats_the_border(u, v):
    x = image(1)
    rows, columns = np.arange(SIZE[0]) + v, np.arange(SIZE[1]) + u
    warped, valid = jit_warp(x, constant(u, v))
    expected = x[:, np.clip(rows, 0, SIZE[0] - 1)][:, :, np.clip(columns, 0, SIZE[1] - 1)]
    np.testing.assert_array_equal(warped, expected)
    inside = ((rows >= 0) & (rows < SIZE[0]))[:, None] & ((columns >= 0) & (columns < SIZE[1]))[None]
    np.testing.assert_array_equal(valid[0, ..., 0], inside)


@pytest.mark.parametrize("spread", [0.4, 3.0, 100.0])
def test_warp_matches_bilinear_interpolation(spread):
    x = image(2)
    flow = (spread * np.random.default_rng(3).standard_normal((2, *SIZE, 2))).astype(np.float32)
    warped, valid = jit_warp(x, flow)
    expected, inside = literal.warp(x, flow)
    np.testing.assert_allclose(warped, expected, atol=1e-5 * max(spread, 1.0))
    np.testing.assert_array_equal(valid, inside)


def test_validity_ends_at_the_border_pixels():
    flow = np.zeros((1, 1, 4, 2), np.float32)
    flow[0, 0, :, 0] = [0.0, -1.0, 1.0, 1e-6]
    flow[0, 0, 1, 1] = 1e-6
    _, valid = jit_warp(np.zeros((1, 1, 4, 1), np.float32), flow)
    assert valid[0, 0, :, 0].tolist() == [1.0, 0.0, 1.0, 0.0]


def test_gradients_match_finite_differences():
    x = image(4, batch=1)
    # Not near integers, where the derivative with respect to the flow is discontinuous.
    flow = np.random.default_rng(5).integers(-3, 3, (1, *SIZE, 2)) + np.random.default_rng(6).uniform(
        0.2, 0.8, (1, *SIZE, 2)
    )
    sampled = jax.jit(lambda x, flow: warp(x, flow)[0])
    check_grads(sampled, (x, flow.astype(np.float32)), order=1, modes=["rev"], eps=1e-2, rtol=2e-2, atol=2e-2)


def test_flow_gradient_at_zero_flow_is_the_difference_of_neighbors():
    # Flows are initially zero: the derivative there must be the difference of neighbors, not zero.
    x = image(7, batch=1)
    slope = jax.jit(jax.grad(lambda flow: warp(x, flow)[0].sum()))(jnp.zeros((1, *SIZE, 2)))
    x = x.sum(axis=-1)
    np.testing.assert_allclose(slope[:, :, :-1, 0], np.diff(x, axis=2), atol=1e-5)
    np.testing.assert_allclose(slope[:, :-1, :, 1], np.diff(x, axis=1), atol=1e-5)


def test_validity_has_no_gradient_and_the_dtype_is_kept():
    x, flow = jnp.ones((1, 3, 3, 1), jnp.bfloat16), jnp.full((1, 3, 3, 2), 0.5)
    warped, valid = jax.eval_shape(warp, x, flow)
    assert (warped.dtype, valid.dtype) == (jnp.bfloat16, jnp.float32)
    assert not np.any(jax.jit(jax.grad(lambda flow: warp(x, flow)[1].sum()))(flow))


def texture(x, y):
    """A smooth function of the plane with a period of about 12 pixels: a layer of frame t."""
    return np.stack([np.sin(0.5 * x + 0.2 * y), np.cos(0.4 * y - 0.3 * x), np.sin(0.3 * (x + y))], axis=-1)


def test_exact_flows_of_the_multiview_generator_align_the_neighbors():
    options = MultiviewOptions(size=(24, 32), parallax_probability=0.0)

    @jax.jit
    def move(key):
        geometry = draw_geometry(key, options=options)
        planes = draw_planes(key, options=options)
        return geometry, layer_motion(geometry, planes, options=options)

    geometry, motion = move(jax.random.key(3))
    x, y = np.meshgrid(np.arange(32.0), np.arange(24.0))
    grid = np.stack([x, y, np.ones_like(x)])
    for homographies, flow, inside in (
        (geometry.homographies_t[:, 0], motion.flow_t, motion.valid_t),
        (geometry.homographies_r, motion.flow_r, motion.valid_r),
    ):
        neighbors = []
        for homography in np.asarray(homographies, np.float64):
            a, b, c = np.einsum("ij,jhw->ihw", np.linalg.inv(homography), grid)
            neighbors.append(texture(a / c, b / c))
        warped, valid = jit_warp(np.stack(neighbors).astype(np.float32), flow)
        np.testing.assert_array_equal(valid[..., 0], inside)
        assert np.mean(inside) > 0.5
        assert np.abs(flow).mean() > 0.2
        error = np.abs(np.asarray(warped) - texture(x, y)[None]).mean(axis=-1) * inside
        assert error.max() < 0.07  # bilinear, half-way between pixels: |second derivative| / 8 per axis
        assert error.mean() < 0.02
