"""L_FD and its parts against literal formulas."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sirr_jax.losses.decoupling import decoupling, feature_overlap, layer_error
from sirr_jax.losses.exclusion import exclusion
from tests.helpers import literal


@pytest.fixture
def sample():
    rng = np.random.default_rng(0)
    draw = lambda *shape: rng.random(shape).astype(np.float32)  # noqa: E731
    outputs = {"layers_t": draw(2, 3, 8, 8, 3), "layers_r": draw(2, 3, 8, 8, 3)}
    outputs |= {"psi_t": draw(2, 3, 8, 8, 5) - 0.5, "psi_r": draw(2, 3, 8, 8, 5) - 0.5}
    return outputs, draw(2, 3, 32, 32, 3), draw(2, 3, 32, 32, 3)


def literal_layer_errors(estimate, layer):
    """Mean over frames of the mean absolute error at quarter resolution, per sample."""
    errors = []
    for b in range(len(layer)):
        small = literal.downsample_area(layer[b].astype(np.float64), 4)
        errors.append(sum(np.abs(estimate[b, i] - small[i]).mean() for i in range(3)) / 3)
    return np.array(errors)


def literal_overlap(a, b):
    a, b = (x.reshape(-1, x.shape[-1]).astype(np.float64) for x in (a, b))
    return np.mean([abs(x @ y) / (np.linalg.norm(x) * np.linalg.norm(y)) for x, y in zip(a, b, strict=True)])


def test_layer_error_equals_its_formula_and_weights_samples(sample):
    outputs, layer, _ = sample
    errors = literal_layer_errors(outputs["layers_t"], layer)
    evaluate = jax.jit(layer_error)
    for weight in ([1.0, 1.0], [1.0, 0.0], [0.5, 2.0]):
        expected = np.mean(errors * weight)
        assert float(evaluate(outputs["layers_t"], layer, jnp.array(weight))) == pytest.approx(expected, rel=1e-5)


def test_feature_overlap_is_the_mean_absolute_cosine_invariant_to_scale(sample):
    outputs = sample[0]
    a, b = outputs["psi_t"], outputs["psi_r"]
    evaluate = jax.jit(feature_overlap)
    assert float(evaluate(a, b)) == pytest.approx(literal_overlap(a, b), rel=1e-4)
    assert float(evaluate(a, -7.0 * a)) == pytest.approx(1.0, rel=1e-4)
    orthogonal = np.concatenate([a, 0 * a], -1), np.concatenate([0 * b, b], -1)
    assert float(jax.jit(feature_overlap)(*orthogonal)) == 0.0
    assert feature_overlap(jnp.asarray(a, jnp.bfloat16), jnp.asarray(b, jnp.bfloat16)).dtype == jnp.float32


def test_decoupling_is_the_weighted_sum_of_its_terms(sample):
    outputs, transmission, reflection = sample
    weight = np.array([1.0, 0.5], np.float32)
    errors = literal_layer_errors(outputs["layers_t"], transmission).mean()
    errors += np.mean(weight * literal_layer_errors(outputs["layers_r"], reflection))
    frames = [outputs[name].reshape(6, 8, 8, 3) for name in ("layers_t", "layers_r")]
    shared = literal_overlap(outputs["psi_t"], outputs["psi_r"]) + float(jax.jit(exclusion)(*frames))
    expected = errors + 0.1 * shared
    assert float(jax.jit(decoupling)(outputs, transmission, reflection, weight)) == pytest.approx(expected, rel=1e-4)


def test_reflection_of_weight_0_has_no_effect(sample):
    outputs, transmission, reflection = sample
    evaluate = jax.jit(decoupling)
    weight = np.array([1.0, 0.0], np.float32)
    altered = reflection.copy()
    altered[1] = 1.0 - altered[1]
    same = float(evaluate(outputs, transmission, reflection, weight))
    assert float(evaluate(outputs, transmission, altered, weight)) == same
    altered[0] = 1.0 - altered[0]
    assert float(evaluate(outputs, transmission, altered, weight)) != same
