"""Resizes against literal references, and padding against NumPy's."""

from __future__ import annotations

import jax
import literal
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sirr_jax.errors import UserError
from sirr_jax.layers.resize import downsample_area, pad_to_multiple, upsample_bilinear, upsample_nearest


def image(*size):
    return np.random.default_rng(sum(size)).standard_normal((2, *size, 3)).astype(np.float32)


@pytest.mark.parametrize("factor", [1, 2, 4])
@pytest.mark.parametrize("enlarge", [upsample_nearest, upsample_bilinear])
def test_enlargements_equal_their_references(enlarge, factor):
    x = image(3, 5)
    expected = getattr(literal, enlarge.__name__)(x.astype(np.float64), factor)
    enlarged = jax.jit(enlarge, static_argnums=1)(x, factor)
    np.testing.assert_allclose(enlarged, expected, atol=1e-6)


@pytest.mark.parametrize(("size", "factor"), [((4, 6), 2), ((8, 4), 4), ((3, 5), 1)])
def test_area_means_equal_the_loops_and_undo_nearest_enlargement(size, factor):
    x = image(*size)
    np.testing.assert_allclose(downsample_area(x, factor), literal.downsample_area(x, factor), atol=1e-6)
    np.testing.assert_allclose(downsample_area(upsample_nearest(x, factor), factor), x, atol=1e-6)


@pytest.mark.parametrize("size", [(7, 8), (8, 7)])
def test_area_means_refuse_sizes_that_do_not_divide(size):
    with pytest.raises(UserError, match=rf"{size[0]}x{size[1]} is not a multiple of 4; crop or pad"):
        downsample_area(image(*size), 4)


@settings(max_examples=25, deadline=None)
@given(height=st.integers(1, 40), width=st.integers(1, 40), multiple=st.sampled_from([1, 2, 16]))
def test_padding_mirrors_below_and_to_the_right_at_any_size(height, width, multiple):
    x = image(height, width)
    # Shapes by tracing, so that wild sizes compile nothing.
    shape = jax.eval_shape(lambda x: pad_to_multiple(x, multiple), x).shape
    below, right = shape[1] - height, shape[2] - width
    assert shape[1] % multiple == 0
    assert shape[2] % multiple == 0
    assert 0 <= below < multiple
    assert 0 <= right < multiple


@pytest.mark.parametrize("size", [(16, 32), (17, 31), (5, 9), (1, 3)])
def test_padding_equals_numpys_reflection(size):
    x = image(*size)
    expected = np.pad(x, ((0, 0), (0, -size[0] % 16), (0, -size[1] % 16), (0, 0)), mode="reflect")
    np.testing.assert_array_equal(jax.jit(pad_to_multiple, static_argnums=1)(x, 16), expected)
