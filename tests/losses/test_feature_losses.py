"""L_T (distillation) and L_P (perceptual loss) against literal formulas."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sirr_jax.losses.distillation import transfer
from sirr_jax.losses.perceptual import VGG_WEIGHTS, perceptual


@pytest.fixture
def features():
    rng = np.random.default_rng(0)
    return [rng.standard_normal((2, 3, 4, 5)).astype(np.float32) for _ in range(2)]


def test_transfer_is_l1_in_units_of_the_teachers_deviation(features):
    student, teacher = features
    deviation = np.array([0.0, 0.1, 1.0, 10.0, 0.5], np.float32)
    error = np.abs(student.astype(np.float64) - teacher) / (deviation + 1e-3)
    assert float(jax.jit(transfer)(student, teacher, deviation)) == pytest.approx(error.mean(), rel=1e-5)
    assert float(transfer(teacher, teacher, deviation)) == 0.0


def test_transfer_has_no_gradient_for_the_teacher(features):
    of_student, of_teacher = jax.jit(jax.grad(transfer, argnums=(0, 1)))(*features, jnp.ones(5))
    assert np.all(np.asarray(of_student) != 0.0)
    assert not np.any(of_teacher)


def test_transfer_computes_in_float32(features):
    student, teacher = (jnp.asarray(x, jnp.bfloat16) for x in features)
    value = transfer(student, teacher, jnp.ones(5))
    exact = np.abs(np.asarray(student, np.float64) - np.asarray(teacher, np.float64)).mean() / 1.001
    assert value.dtype == jnp.float32
    assert float(value) == pytest.approx(exact, rel=1e-5)


def test_perceptual_uses_errnets_layers_and_weights_by_default():
    weights = {"relu1_1": 1 / 2.6, "relu2_1": 1 / 4.8, "relu3_1": 1 / 3.7, "relu4_1": 1 / 5.6, "relu5_1": 10 / 1.5}
    assert weights == VGG_WEIGHTS
    rng = np.random.default_rng(1)
    estimate, target = (
        {n: rng.random((1, 2, 3, 4)).astype(np.float32) for n in (*weights, "relu1_2")} for _ in range(2)
    )
    errors = {name: np.abs(estimate[name] - target[name]).mean() for name in weights}
    expected = sum(weights[name] * errors[name] for name in weights)
    assert float(jax.jit(perceptual)(estimate, target)) == pytest.approx(expected, rel=1e-5)
    assert float(perceptual(target, target)) == 0.0
    del estimate["relu5_1"], target["relu5_1"]
    expected -= weights["relu5_1"] * errors["relu5_1"]
    assert float(perceptual(estimate, target, unit=0.5)) == pytest.approx(0.5 * expected, rel=1e-5)


def test_perceptual_with_other_layers_and_squared_errors():
    rng = np.random.default_rng(2)
    estimate, target = ({n: rng.random((1, 2, 3, 4)).astype(np.float32) for n in ("relu1_2", "relu3_3")} for _ in "ab")
    expected = 0.6 * 0.25 * np.square(estimate["relu1_2"] - target["relu1_2"]).mean()
    loss = perceptual(estimate, target, unit=0.5, weights={"relu1_2": 0.6}, error="mse")
    assert float(loss) == pytest.approx(expected, rel=1e-5)
