"""SGRRN's terms, as released and as meant."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from sirr_jax.losses.sgrrn import INTENDED, RELEASED, layer_terms

RNG = np.random.default_rng(0)
ESTIMATE, TRUTH = (RNG.uniform(-1, 1, (3, 16, 12, 3)).astype(np.float32) for _ in range(2))
VERDICT = RNG.random((3, 4, 3, 1)).astype(np.float32)


def literal_gradient(error):
    """0.5 (mean |d/dx| + mean |d/dy|), the mean of three levels, each half the size of the one before."""
    levels = []
    for _ in range(3):
        levels.append(0.5 * sum(np.abs(np.diff(error, axis=axis)).mean() for axis in (1, 2)))
        n, height, width, c = error.shape
        blocks = error[:, : height // 2 * 2, : width // 2 * 2].reshape(n, height // 2, 2, width // 2, 2, c)
        error = blocks.mean(axis=(2, 4))
    return np.mean(levels)


def test_as_meant():
    terms = layer_terms(INTENDED, ESTIMATE, TRUTH, distance=jnp.float32(2.0), verdict=VERDICT, batch_size=3)
    error = ESTIMATE.astype(np.float64) - TRUTH
    expected = {
        "pixel": np.abs(error).mean(),
        "gradient": literal_gradient(error),
        "perceptual": 0.1 * (2.0 + np.abs(error).mean()),
        "adversarial": 0.01 * np.square(VERDICT - 1.0).mean(),
    }
    assert {name: float(value) for name, value in terms.items()} == pytest.approx(expected, rel=1e-5)


def test_as_released_verdicts_are_summed_over_the_batch():
    terms = layer_terms(RELEASED, ESTIMATE, TRUTH, distance=jnp.float32(2.0), verdict=VERDICT, batch_size=3)
    expected = {
        "pixel": np.abs(ESTIMATE - TRUTH).mean(),
        "adversarial": sum(np.square(one - 1.0).mean() for one in VERDICT),
    }
    assert {name: float(value) for name, value in terms.items()} == pytest.approx(expected, rel=1e-5)


def test_what_is_not_given_is_left_out():
    assert layer_terms(INTENDED, ESTIMATE, TRUTH).keys() == {"pixel", "gradient"}
