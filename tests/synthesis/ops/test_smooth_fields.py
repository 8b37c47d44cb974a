from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from sirr_jax.synthesis.ops.smooth_fields import FIELD_TERMS, evaluate_field, evaluate_field_slope, random_field

NOISE = np.random.default_rng(0).normal(size=(FIELD_TERMS, FIELD_TERMS, 200)).astype(np.float32)


def literal_field(coefficients, x, y):
    total = np.zeros(coefficients.shape[-1])
    for j in range(FIELD_TERMS):
        for k in range(FIELD_TERMS):
            total += coefficients[j, k] * np.cos(np.pi * j * y) * np.cos(np.pi * k * x)
    return total


def test_evaluate_field_equals_a_literal_sum():
    coefficients = NOISE[..., :3]
    points = np.array([[0.1, 0.7], [0.0, 1.0], [-0.2, 1.3]], np.float32)
    values = jax.jit(evaluate_field)(jnp.asarray(coefficients), jnp.asarray(points))
    expected = [literal_field(coefficients.astype(np.float64), *point) for point in points]
    np.testing.assert_allclose(values, expected, atol=2e-5)


def test_evaluate_field_slope_equals_finite_differences():
    coefficients = NOISE[..., :2].astype(np.float64)
    points = np.array([[0.31, 0.62], [0.9, 0.15]])
    value, by_x, by_y = jax.jit(evaluate_field_slope)(
        jnp.asarray(coefficients, jnp.float32), jnp.asarray(points, jnp.float32)
    )
    step = 1e-5
    for i, (x, y) in enumerate(points):
        along_x = (literal_field(coefficients, x + step, y) - literal_field(coefficients, x - step, y)) / (2 * step)
        along_y = (literal_field(coefficients, x, y + step) - literal_field(coefficients, x, y - step)) / (2 * step)
        np.testing.assert_allclose(value[i], literal_field(coefficients, x, y), atol=2e-5)
        np.testing.assert_allclose(by_x[i], along_x, atol=5e-4)
        np.testing.assert_allclose(by_y[i], along_y, atol=5e-4)


def test_random_fields_have_mean_0_and_variance_1():
    side = (np.arange(24, dtype=np.float32) + 0.5) / 24
    grid = np.stack(np.meshgrid(side, side), axis=-1)
    one = jax.vmap(lambda noise: evaluate_field(random_field(noise[..., None]), grid)[..., 0], in_axes=-1, out_axes=-1)
    fields = np.asarray(jax.jit(one)(NOISE))
    np.testing.assert_allclose(fields.mean(axis=(0, 1)), 0, atol=1e-5)
    assert 0.8 < fields.var() < 1.2
