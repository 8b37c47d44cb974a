"""PReLU against its definition, and its derivative against PyTorch's."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sirr_jax.layers.prelu import PReLU


def test_prelu_scales_negative_values_by_the_slope_of_the_channel():
    x = np.array([[[[-2.0, 3.0, -1.0], [4.0, -5.0, 0.0]]]], np.float32)
    slope = np.array([0.5, -1.0, 0.0], np.float32)
    y = PReLU().apply({"params": {"slope": slope}}, x)
    np.testing.assert_array_equal(y, [[[[-1.0, 3.0, 0.0], [4.0, 5.0, 0.0]]]])


def test_prelu_gradients_match_torch_at_zero_and_for_positive_values():
    x, slope = np.array([0.0, 2.0, -3.0], np.float32), np.array([0.5, 0.5, 0.5], np.float32)

    def total(slope, x):
        return PReLU().apply({"params": {"slope": slope}}, x).sum()

    of_slope, of_x = jax.grad(total, (0, 1))(slope, x)
    np.testing.assert_array_equal(of_x, [0.5, 1.0, 0.5])
    np.testing.assert_array_equal(of_slope, [0.0, 0.0, -3.0])


@pytest.mark.parametrize("shape", [(2, 5), (1, 4, 3, 5)])
def test_initial_slope_is_a_quarter_in_float32_and_the_dtype_is_kept(shape):
    y, variables = PReLU().init_with_output(jax.random.key(0), -jnp.ones(shape, jnp.bfloat16))
    assert y.dtype == jnp.bfloat16
    np.testing.assert_array_equal(y.astype(jnp.float32), np.full(shape, -0.25, np.float32))
    assert variables["params"]["slope"].dtype == jnp.float32
    np.testing.assert_array_equal(variables["params"]["slope"], np.full(5, 0.25, np.float32))
