"""SGRRN's loss terms, as released and as intended."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from sirr_jax.losses.sgrrn import INTENDED, RELEASED, layer_terms

RNG = np.random.default_rng(0)
ESTIMATE, TARGET = (RNG.uniform(-1, 1, (3, 16, 12, 3)).astype(np.float32) for _ in range(2))
SCORES = RNG.random((3, 4, 3, 1)).astype(np.float32)


def literal_gradient(error):
    """0.5 (mean |d/dx| + mean |d/dy|), averaged over three levels, each half the size of the previous one."""
    levels = []
    for _ in range(3):
        levels.append(0.5 * sum(np.abs(np.diff(error, axis=axis)).mean() for axis in (1, 2)))
        n, height, width, c = error.shape
        blocks = error[:, : height // 2 * 2, : width // 2 * 2].reshape(n, height // 2, 2, width // 2, 2, c)
        error = blocks.mean(axis=(2, 4))
    return np.mean(levels)


def test_intended_terms():
    terms = layer_terms(INTENDED, ESTIMATE, TARGET, distance=jnp.float32(2.0), scores=SCORES, batch_size=3)
    error = ESTIMATE.astype(np.float64) - TARGET
    expected = {
        "pixel": np.abs(error).mean(),
        "gradient": literal_gradient(error),
        "perceptual": 0.1 * (2.0 + np.abs(error).mean()),
        "adversarial": 0.01 * np.square(SCORES - 1.0).mean(),
    }
    assert {name: float(value) for name, value in terms.items()} == pytest.approx(expected, rel=1e-5)


def test_released_adversarial_term_is_summed_over_the_batch():
    terms = layer_terms(RELEASED, ESTIMATE, TARGET, distance=jnp.float32(2.0), scores=SCORES, batch_size=3)
    expected = {
        "pixel": np.abs(ESTIMATE - TARGET).mean(),
        "adversarial": sum(np.square(one - 1.0).mean() for one in SCORES),
    }
    assert {name: float(value) for name, value in terms.items()} == pytest.approx(expected, rel=1e-5)


def test_missing_inputs_omit_their_terms():
    assert layer_terms(INTENDED, ESTIMATE, TARGET).keys() == {"pixel", "gradient"}
