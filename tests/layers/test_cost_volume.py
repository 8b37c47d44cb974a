"""The blocked cost volume against four loops, at widths near its block size of 16 pixels."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from sirr_jax.layers.cost_volume import cost_volume
from tests.helpers import literal


def pair(seed, *shape):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape).astype(np.float32) for _ in range(2)]


@pytest.mark.parametrize(
    ("size", "radius"),
    [((3, 1), 1), ((5, 7), 2), ((4, 15), 4), ((3, 16), 4), ((2, 17), 4), ((4, 33), 3), ((3, 20), 8), ((2, 5), 0)],
)
def test_cost_volume_matches_loops(size, radius):
    target, source = pair(0, 2, *size, 3)
    costs = jax.jit(cost_volume, static_argnames="radius")(target, source, radius=radius)
    np.testing.assert_allclose(costs, literal.cost_volume(target, source, radius), atol=1e-5)


def test_default_radius_is_four():
    target, source = (jnp.asarray(x) for x in pair(1, 1, 2, 3, 2))
    assert jax.eval_shape(cost_volume, target, source).shape == (1, 2, 3, 81)


def test_gradients_match_finite_differences():
    # The function is multilinear: central differences are exact up to rounding.
    check_grads(jax.jit(lambda a, b: cost_volume(a, b, radius=2)), pair(2, 1, 2, 18, 2), order=1, rtol=2e-2, atol=2e-2)


def test_bfloat16_products_are_summed_in_float32():
    # bfloat16 cannot represent 1 + 2^-8: a running sum in bfloat16 would stay at 1.
    target = jnp.ones((1, 1, 1, 257), jnp.bfloat16)
    source = jnp.full((1, 1, 1, 257), 2.0**-8, jnp.bfloat16).at[..., 0].set(1.0)
    cost = cost_volume(target, source, radius=0)
    assert cost.dtype == jnp.bfloat16
    assert float(cost[0, 0, 0, 0]) == float(jnp.bfloat16(2.0 / 257))
