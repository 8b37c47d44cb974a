"""Padding against NumPy's."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sirr_jax.layers.padding import pad_to_multiple, reflect_pad, sides


def image(*size):
    return np.random.default_rng(sum(size)).standard_normal((2, *size, 3)).astype(np.float32)


def test_sides_expands_one_number_to_all_sides():
    assert sides(3) == ((3, 3), (3, 3))
    assert sides(((0, 1), (2, 3))) == ((0, 1), (2, 3))


@pytest.mark.parametrize("padding", [0, 1, 3, ((0, 1), (2, 3))], ids=str)
def test_reflect_pad_matches_numpy(padding):
    x = image(4, 5)
    padded = np.asarray(jax.jit(reflect_pad, static_argnums=1)(x, padding))
    rows, columns = sides(padding)
    np.testing.assert_array_equal(padded, np.pad(x, ((0, 0), rows, columns, (0, 0)), mode="reflect"))
    if padding == 1:
        np.testing.assert_array_equal(padded[:, 0, 1:-1], x[:, 1])
        np.testing.assert_array_equal(padded[:, 1:-1, -1], x[:, :, -2])


@settings(max_examples=25)
@given(height=st.integers(1, 40), width=st.integers(1, 40), multiple=st.sampled_from([1, 2, 16]))
def test_pad_to_multiple_pads_to_the_next_multiple(height, width, multiple):
    x = image(height, width)
    # Shapes by tracing, so that nothing is compiled for random sizes.
    shape = jax.eval_shape(lambda x: pad_to_multiple(x, multiple), x).shape
    below, right = shape[1] - height, shape[2] - width
    assert shape[1] % multiple == 0
    assert shape[2] % multiple == 0
    assert 0 <= below < multiple
    assert 0 <= right < multiple


@pytest.mark.parametrize("size", [(16, 32), (17, 31), (5, 9), (1, 3)])
def test_pad_to_multiple_matches_numpy_reflection(size):
    x = image(*size)
    expected = np.pad(x, ((0, 0), (0, -size[0] % 16), (0, -size[1] % 16), (0, 0)), mode="reflect")
    np.testing.assert_array_equal(jax.jit(pad_to_multiple, static_argnums=1)(x, 16), expected)
