"""Pooling against loops over windows."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sirr_jax.layers.pooling import adaptive_average_pool, average_pool, max_pool
from tests.helpers import literal


def image(*size):
    # Negative values, so that zeros of the padding would be the maximum.
    return np.random.default_rng(sum(size)).standard_normal((2, *size, 3)).astype(np.float32) - 5.0


OPTIONS = [
    ((6, 8), 2, {"stride": 2}),
    ((7, 9), 2, {"stride": 2}),
    ((7, 8), 3, {"stride": 2, "padding": 1}),
    ((7, 8), 2, {"stride": 2, "padding": 1}),
    ((5, 6), 3, {"stride": 1, "padding": 1}),
    ((4, 5), 2, {"stride": 1, "padding": ((0, 1), (1, 0))}),
]
CEILED = [
    ((7, 9), 2, {"stride": 2}),
    ((8, 10), 3, {"stride": 2}),
    ((8, 9), 3, {"stride": 2, "padding": 1}),
    # Rounding up would start a last window in the padding: it is left out.
    ((5, 7), 2, {"stride": 2, "padding": 1}),
    ((2, 4), 1, {"stride": 3}),
]


@pytest.mark.parametrize(
    ("size", "window", "options"),
    [*OPTIONS, *((size, window, options | {"ceil_mode": True}) for size, window, options in CEILED)],
    ids=str,
)
def test_max_pool_matches_loops(size, window, options):
    x = image(*size)
    pooled = jax.jit(lambda x: max_pool(x, window, **options))(x)
    np.testing.assert_array_equal(pooled, literal.max_pool(x, window, **options).astype(np.float32))


@pytest.mark.parametrize(("size", "window", "options"), OPTIONS, ids=str)
@pytest.mark.parametrize("count_padding", [True, False])
def test_average_pool_matches_loops(size, window, options, count_padding):
    x = image(*size)
    options = options | {"count_padding": count_padding}
    pooled = jax.jit(lambda x: average_pool(x, window, **options))(x)
    np.testing.assert_allclose(pooled, literal.average_pool(x, window, **options), rtol=1e-5)


def test_average_pool_gradients_over_blocks_match_loops():
    gradient = image(2, 3)
    actual = jax.jit(lambda x, y: jax.vjp(lambda x: average_pool(x, 3, stride=3), x)[1](y)[0])(image(7, 11), gradient)
    expected = np.zeros((2, 7, 11, 3))  # zero where no window fits
    expected[:, :6, :9] = np.repeat(np.repeat(gradient, 3, axis=1), 3, axis=2) / 9
    np.testing.assert_allclose(actual, expected, rtol=1e-5)


@settings(max_examples=60)
@given(
    size=st.integers(1, 40),
    window=st.integers(1, 5),
    stride=st.integers(1, 5),
    padding=st.integers(0, 2),
    ceil_mode=st.booleans(),
)
def test_max_pool_output_size_matches_loops(size, window, stride, padding, ceil_mode):
    assume(padding <= window // 2 and size + 2 * padding >= window)
    options = {"stride": stride, "padding": padding, "ceil_mode": ceil_mode}
    actual = jax.eval_shape(lambda x: max_pool(x, window, **options), jnp.zeros((1, size, size, 1))).shape
    line = literal.max_pool(np.zeros((1, size, window, 1)), window, **options)
    assert actual[1:3] == (line.shape[1],) * 2


@pytest.mark.parametrize(
    "pool",
    [
        lambda x: max_pool(x, 3, stride=2, padding=1, ceil_mode=True),
        lambda x: average_pool(x, 3, stride=2, padding=1, count_padding=False),
    ],
    ids=["maximum", "average"],
)
def test_pooling_gradients_under_jit(pool):
    x = image(6, 7)
    slope = np.asarray(jax.jit(jax.grad(lambda x: pool(x).sum()))(x))
    # Each window passes a gradient of one to its largest pixel, or in equal parts to all pixels.
    assert slope.sum() == pytest.approx(np.prod(jax.eval_shape(pool, x).shape))
    assert np.all(slope >= 0.0)


@pytest.mark.parametrize(("size", "bins"), [((6, 9), 3), ((7, 10), 3), ((13, 11), 6), ((2, 3), 4), ((5, 1), 1)])
def test_adaptive_average_pool_matches_loops(size, bins):
    x = image(*size)
    pooled = jax.jit(adaptive_average_pool, static_argnums=1)(x, bins)
    np.testing.assert_allclose(pooled, literal.adaptive_average_pool(x.astype(np.float64), bins), rtol=1e-5)


def test_pooling_keeps_the_dtype():
    x = jnp.zeros((1, 4, 6, 2), jnp.bfloat16)
    for pool in (
        lambda x: max_pool(x, 2, stride=2),
        lambda x: average_pool(x, 2, stride=2, count_padding=False),
        lambda x: adaptive_average_pool(x, 2),
    ):
        assert jax.eval_shape(pool, x).dtype == jnp.bfloat16
