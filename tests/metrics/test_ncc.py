"""NCC against NumPy's correlation, its invariances, and the rule for constant images."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sirr_jax.metrics import ncc


def pair(seed: int, *shape: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    target = rng.random(shape)
    return np.clip(target + 0.5 * rng.standard_normal(shape), 0.0, 1.0), target


def test_ncc_matches_numpy_correlation_over_all_pixels_and_channels():
    estimate, target = pair(1, 8, 9, 3)
    target = target * np.array([1.0, 0.5, 0.1])
    expected = np.corrcoef(estimate.ravel(), target.ravel())[0, 1]
    assert ncc(estimate, target) == pytest.approx(expected, rel=1e-12)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    gain=st.floats(0.01, 1.0),
    offset=st.floats(0.0, 1.0),
    channels=st.integers(1, 3),
)
def test_ncc_is_invariant_to_gain_and_offset_and_changes_sign(seed, gain, offset, channels):
    estimate, target = pair(seed, 6, 7, channels)
    value = ncc(estimate, target)
    offset *= 1.0 - gain
    assert ncc(gain * estimate + offset, target) == pytest.approx(value, abs=1e-9)
    assert ncc(1.0 - estimate, target) == pytest.approx(-value, abs=1e-9)
    assert ncc(gain * target + offset, target) == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize("xp", [np, jnp])
@pytest.mark.parametrize("level", [0.0, 0.1, 1.0 / 3.0, 0.7, 1.0])
def test_ncc_of_a_constant_image_is_0(xp, level):
    _, target = pair(2, 24, 33, 3)
    target, flat = xp.asarray(target), xp.full(target.shape, level)
    assert ncc(flat, target) == 0.0
    assert ncc(target, flat) == 0.0
    assert ncc(flat, flat) == 0.0
