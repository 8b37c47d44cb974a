from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from sirr_jax.synthesis.ops.random_values import categorical, lerp, log_lerp, normal, uniforms


def test_uniforms_have_the_given_shapes_and_differ():
    scalar, table, vector = uniforms(jax.random.key(3), (), (4, 5), (7,))
    assert (scalar.shape, table.shape, vector.shape) == ((), (4, 5), (7,))
    together = np.concatenate([np.ravel(x) for x in (scalar, table, vector)])
    assert len(np.unique(together)) == 1 + 20 + 7
    assert together.min() >= 0
    assert together.max() < 1


def test_lerp_and_log_lerp_reach_both_ends():
    uniform = jnp.asarray([0.0, 0.5, 1.0])
    np.testing.assert_allclose(lerp(uniform, -1.0, 3.0), [-1, 1, 3])
    np.testing.assert_allclose(log_lerp(uniform, 0.5, 8.0), [0.5, 2, 8], rtol=1e-6)


def test_normal_is_the_quantile_function_and_finite_at_the_ends():
    uniform = np.linspace(0.001, 0.999, 41, dtype=np.float32)
    np.testing.assert_allclose(normal(jnp.asarray(uniform)), scipy.stats.norm.ppf(uniform), atol=2e-4)
    assert np.isfinite(normal(jnp.asarray([0.0, 1.0 - 2.0**-24]))).all()


@settings(max_examples=40, deadline=None)
@given(
    uniform=st.floats(0, 1, exclude_max=True, width=32),
    weights=st.lists(st.sampled_from([0.0, 0.15, 0.35, 1.0]), min_size=2, max_size=4).filter(any),
)
def test_categorical_never_returns_an_index_of_probability_0(uniform, weights):
    index = int(categorical(jnp.float32(uniform), tuple(weights)))
    assert weights[index] > 0


@pytest.mark.parametrize(("uniform", "index"), [(0.0, 0), (0.19, 0), (0.21, 1), (0.49, 1), (0.51, 2), (0.999, 2)])
def test_categorical_follows_the_cumulative_probabilities(uniform, index):
    assert int(categorical(jnp.float32(uniform), (0.2, 0.3, 0.5))) == index
