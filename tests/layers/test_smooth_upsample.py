"""Smoothed upsampling against its definition."""

from __future__ import annotations

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sirr_jax.layers.smooth_upsample import SmoothUpsample


def transposed(x, kernel):
    """Adds a 4x4 patch per pixel, at steps of two pixels, and crops a border of one."""
    batch, height, width, _ = x.shape
    total = np.zeros((batch, 2 * height + 2, 2 * width + 2, kernel.shape[3]))
    for i, j in itertools.product(range(height), range(width)):
        total[:, 2 * i : 2 * i + 4, 2 * j : 2 * j + 4] += np.einsum("bc,klco->bklo", x[:, i, j], kernel)
    return total[:, 1:-1, 1:-1]


@pytest.mark.parametrize("size", [(1, 1), (3, 4)])
def test_smooth_upsample_averages_each_pixel_with_its_upper_left_neighbors(size):
    rng = np.random.default_rng(4)
    layer, x = SmoothUpsample(8), rng.standard_normal((2, *size, 3)).astype(np.float32)
    kernel, bias = (rng.standard_normal(shape).astype(np.float32) for shape in ((4, 4, 3, 8), (8,)))
    actual = jax.jit(layer.apply)({"params": {"deconv": {"kernel": kernel, "bias": bias}}}, x)

    sharp = transposed(x, kernel) + bias
    expected = np.zeros_like(sharp)
    for i, j in itertools.product(range(sharp.shape[1]), range(sharp.shape[2])):
        above, left = (i - 1 if i else 1), (j - 1 if j else 1)
        expected[:, i, j] = (sharp[:, i, j] + sharp[:, above, j] + sharp[:, i, left] + sharp[:, above, left]) / 4
    assert (expected < 0).any(), "otherwise the ReLU is not tested"
    np.testing.assert_allclose(actual, np.maximum(expected, 0.0), atol=1e-5)


def test_smooth_upsample_doubles_the_size_and_keeps_the_dtype():
    layer = SmoothUpsample(5, dtype=jnp.bfloat16)
    y, variables = jax.eval_shape(lambda: layer.init_with_output(jax.random.key(0), jnp.zeros((2, 3, 4, 6))))
    assert (y.shape, y.dtype) == ((2, 6, 8, 5), jnp.bfloat16)
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype("float32")}
