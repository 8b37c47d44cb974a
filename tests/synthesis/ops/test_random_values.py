from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from sirr_jax.synthesis.ops.random_values import categorical, lerp, log_lerp, normal, uniforms


def test_shares_have_the_shapes_asked_for_and_differ():
    scalar, table, vector = uniforms(jax.random.key(3), (), (4, 5), (7,))
    assert (scalar.shape, table.shape, vector.shape) == ((), (4, 5), (7,))
    together = np.concatenate([np.ravel(x) for x in (scalar, table, vector)])
    assert len(np.unique(together)) == 1 + 20 + 7
    assert together.min() >= 0
    assert together.max() < 1


def test_ends_of_the_ranges_are_reached():
    share = jnp.asarray([0.0, 0.5, 1.0])
    np.testing.assert_allclose(lerp(share, -1.0, 3.0), [-1, 1, 3])
    np.testing.assert_allclose(log_lerp(share, 0.5, 8.0), [0.5, 2, 8], rtol=1e-6)


def test_normal_is_the_quantile_function_and_finite_at_the_ends():
    share = np.linspace(0.001, 0.999, 41, dtype=np.float32)
    np.testing.assert_allclose(normal(jnp.asarray(share)), scipy.stats.norm.ppf(share), atol=2e-4)
    assert np.isfinite(normal(jnp.asarray([0.0, 1.0 - 2.0**-24]))).all()


@settings(max_examples=40, deadline=None)
@given(
    share=st.floats(0, 1, exclude_max=True, width=32),
    weights=st.lists(st.sampled_from([0.0, 0.15, 0.35, 1.0]), min_size=2, max_size=4).filter(any),
)
def test_pick_never_takes_what_has_no_probability(share, weights):
    index = int(categorical(jnp.float32(share), tuple(weights)))
    assert weights[index] > 0


@pytest.mark.parametrize(("share", "index"), [(0.0, 0), (0.19, 0), (0.21, 1), (0.49, 1), (0.51, 2), (0.999, 2)])
def test_pick_follows_the_cumulative_probabilities(share, index):
    assert int(categorical(jnp.float32(share), (0.2, 0.3, 0.5))) == index
