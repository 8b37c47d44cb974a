"""Resizing against literal references."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sirr_jax.errors import UserError
from sirr_jax.layers.resize import (
    downsample_area,
    resize_bilinear,
    resize_nearest,
    upsample_bilinear,
    upsample_nearest,
)
from tests.helpers import literal


def image(*size):
    return np.random.default_rng(sum(size)).standard_normal((2, *size, 3)).astype(np.float32)


@pytest.mark.parametrize("factor", [1, 2, 4])
@pytest.mark.parametrize("enlarge", [upsample_nearest, upsample_bilinear])
def test_upsampling_matches_references(enlarge, factor):
    x = image(3, 5)
    expected = getattr(literal, enlarge.__name__)(x.astype(np.float64), factor)
    enlarged = jax.jit(enlarge, static_argnums=1)(x, factor)
    np.testing.assert_allclose(enlarged, expected, atol=1e-6)


@pytest.mark.parametrize(("size", "factor"), [((4, 6), 2), ((8, 4), 4), ((3, 5), 1)])
def test_downsample_area_matches_loops_and_inverts_upsample_nearest(size, factor):
    x = image(*size)
    np.testing.assert_allclose(downsample_area(x, factor), literal.downsample_area(x, factor), atol=1e-6)
    np.testing.assert_allclose(downsample_area(upsample_nearest(x, factor), factor), x, atol=1e-6)


@pytest.mark.parametrize("size", [(7, 8), (8, 7)])
def test_downsample_area_rejects_sizes_that_are_not_multiples(size):
    with pytest.raises(UserError, match=rf"{size[0]}x{size[1]} is not a multiple of 4; crop or pad"):
        downsample_area(image(*size), 4)


@pytest.mark.parametrize("size", [(3, 5), (6, 10), (9, 25), (2, 3), (1, 1), (7, 4), (13, 11)])
def test_resize_nearest_matches_the_reference(size):
    x = image(3, 5)
    resized = jax.jit(resize_nearest, static_argnums=1)(x, size)
    np.testing.assert_array_equal(resized, literal.resize_nearest(x, size))


@pytest.mark.parametrize("factor", [2, 3])
def test_resize_nearest_by_a_whole_factor_repeats_pixels(factor):
    x = image(4, 3)
    np.testing.assert_array_equal(resize_nearest(x, (4 * factor, 3 * factor)), upsample_nearest(x, factor))


def test_resize_nearest_rounds_in_float32():
    # 23 * 119 / 391 is 7, but PyTorch's product of float32 numbers is just below.
    line = np.arange(119, dtype=np.float32)[None, :, None, None]
    chosen = np.asarray(resize_nearest(line, (391, 1)))[0, :, 0, 0].astype(int)
    assert chosen[23] == 6


@pytest.mark.parametrize("size", [(3, 5), (6, 10), (7, 13), (2, 3), (1, 1)])
@pytest.mark.parametrize("align_corners", [False, True])
def test_resize_bilinear_matches_the_reference(size, align_corners):
    x = image(3, 5)
    resized = jax.jit(lambda x: resize_bilinear(x, size, align_corners=align_corners))(x)
    expected = literal.resize_bilinear(x.astype(np.float64), size, align_corners=align_corners)
    np.testing.assert_allclose(resized, expected, atol=1e-5)


@pytest.mark.parametrize("scale", [1.7, 0.6])
def test_resize_bilinear_uses_the_exact_scale(scale):
    x = image(5, 7)
    size = (int(5 * scale), int(7 * scale))
    resized = jax.jit(lambda x: resize_bilinear(x, size, scale=scale))(x)
    np.testing.assert_allclose(resized, literal.resize_bilinear(x.astype(np.float64), size, scale=scale), atol=1e-5)
    assert np.abs(resized - resize_bilinear(x, size)).max() > 1e-2
    # As in PyTorch, the scale is ignored where the size does not change.
    assert resize_bilinear(x, (5, 7), scale=1.1) is x


def test_resize_bilinear_aligns_corners_or_edges():
    ramp = np.arange(4, dtype=np.float32)[None, None, :, None]
    corners = np.asarray(resize_bilinear(ramp, (1, 7), align_corners=True))[0, 0, :, 0]
    np.testing.assert_allclose(corners, np.arange(7) / 2, atol=1e-6)
    edges = np.asarray(resize_bilinear(ramp, (1, 8)))[0, 0, :, 0]
    np.testing.assert_allclose(edges, np.clip((np.arange(8) + 0.5) / 2 - 0.5, 0, 3), atol=1e-6)


@pytest.mark.parametrize("size", [(9, 25), (7, 13), (2, 3), (1, 1)])
@pytest.mark.parametrize("resize", [resize_nearest, resize_bilinear])
def test_resize_gradients_match_the_reference(resize, size):
    units = np.eye(15).reshape(15, 3, 5, 1)
    jacobian = getattr(literal, resize.__name__)(units, size)  # [15, *size, 1]
    gradient = image(*size)
    actual = jax.jit(lambda x, y: jax.vjp(lambda x: resize(x, size), x)[1](y)[0])(image(3, 5), gradient)
    expected = np.einsum("nhwo,bhwc->bnc", jacobian, gradient).reshape(2, 3, 5, 3)
    np.testing.assert_allclose(actual, expected, atol=1e-4)


@settings(max_examples=15)
@given(
    source=st.integers(1, 9),
    target=st.integers(1, 20),
    align_corners=st.booleans(),
    resize=st.sampled_from([resize_nearest, resize_bilinear]),
)
def test_resizing_stays_within_the_range_and_keeps_constant_images(source, target, align_corners, resize):
    options = {"align_corners": align_corners} if resize is resize_bilinear else {}
    x = image(source, 1)
    resized = np.asarray(resize(x, (target, 1), **options))
    assert resized.shape == (2, target, 1, 3)
    assert resized.min() >= x.min() - 1e-6
    assert resized.max() <= x.max() + 1e-6
    np.testing.assert_allclose(resize(np.ones_like(x), (target, 1), **options), 1.0, atol=1e-6)


def test_resizing_keeps_the_dtype_and_skips_equal_sizes():
    x = jnp.ones((1, 3, 4, 2), jnp.bfloat16)
    assert jax.eval_shape(lambda x: resize_bilinear(x, (5, 6)), x).dtype == jnp.bfloat16
    assert jax.eval_shape(lambda x: resize_nearest(x, (5, 6)), x).dtype == jnp.bfloat16
    assert jax.eval_shape(jax.grad(lambda x: resize_bilinear(x, (5, 6)).sum()), x).dtype == jnp.bfloat16
    assert resize_bilinear(x, (3, 4)) is x
    assert resize_nearest(x, (3, 4)) is x
