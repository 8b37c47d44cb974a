"""LMSE against literal window loops, its invariance to scale, and borderline cases."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sirr_jax.metrics import lmse


def literal_lmse(estimate: np.ndarray, target: np.ndarray) -> float:
    """One window after the other, on the 0..255 scale, as in the protocol."""
    height, width, channels = target.shape
    error = total = 0.0
    for c in range(channels):
        for i in range(0, height - 19, 10):
            for j in range(0, width - 19, 10):
                x = 255 * estimate[i : i + 20, j : j + 20, c]
                y = 255 * target[i : i + 20, j : j + 20, c]
                alpha = (y * x).sum() / (x**2).sum() if (x**2).sum() > 1e-5 else 0.0
                error += ((y - alpha * x) ** 2).sum()
                total += (y**2).sum()
    return error / total


def pair(seed: int, *shape: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.uniform(0.05, 1.0, shape), rng.random(shape)


@pytest.mark.parametrize("shape", [(20, 20, 3), (29, 30, 1), (41, 33, 3), (50, 69, 2)])
def test_lmse_equals_literal_window_loops(shape):
    estimate, target = pair(1, *shape)
    assert lmse(estimate, target) == pytest.approx(literal_lmse(estimate, target), rel=1e-12)


@pytest.mark.parametrize(("sum_of_squares", "fits"), [(0.9e-5, False), (1.1e-5, True)])
def test_dark_window_threshold_is_on_the_scale_of_255(sum_of_squares, fits):
    estimate = np.full((20, 30, 1), 0.5)
    estimate[:, :20] = np.sqrt(sum_of_squares / 400) / 255
    target = np.full((20, 30, 1), 0.7)
    assert lmse(estimate, target) == pytest.approx(literal_lmse(estimate, target), rel=1e-12)
    assert (lmse(estimate[:, :20], target[:, :20]) == pytest.approx(0.0, abs=1e-12)) == fits


@pytest.mark.parametrize("xp", [np, jnp])
def test_lmse_of_black_images(xp):
    _, target = pair(2, 20, 30, 3)
    target, black = xp.asarray(target), xp.zeros((20, 30, 3))
    assert lmse(black, target) == pytest.approx(1.0, rel=1e-6)
    assert lmse(target, black) == 0.0
    assert lmse(black, black) == 0.0


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    gain=st.floats(0.01, 1.0),
    height=st.integers(20, 35),
    width=st.integers(20, 35),
)
def test_lmse_is_invariant_to_the_scale_of_the_estimate_and_at_most_1(seed, gain, height, width):
    estimate, target = pair(seed, height, width, 3)
    value = lmse(estimate, target)
    assert 0.0 < value < 1.0
    assert lmse(gain * estimate, target) == pytest.approx(value, rel=1e-10)
    assert lmse(gain * target, target) == pytest.approx(0.0, abs=1e-12)


def test_lmse_of_a_nearly_perfect_estimate_is_precise_in_float32():
    # S_YY - S_YX^2 / S_XX in float32 has an error of 6 % here.
    _, target = pair(3, 30, 30, 3)
    noise = np.random.default_rng(4).standard_normal(target.shape)
    estimate = np.clip(0.8 * target * (1.0 + 3e-4 * noise), 0.0, 1.0).astype(np.float32)
    target = target.astype(np.float32)
    value = lmse(estimate, target)
    assert 2e-8 < value < 2e-7
    assert float(lmse(jnp.asarray(estimate), jnp.asarray(target))) == pytest.approx(value, rel=1e-3)
