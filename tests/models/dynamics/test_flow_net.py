"""Flow Net: its normalized costs must distinguish displacements."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from sirr_jax.layers.cost_volume import cost_volume
from sirr_jax.models.dynamics.flow_net import FlowNet, _normalize_features


def features(channels=8, common=3.0):
    """Features [1, 12, 20, C] that are mostly common to all pixels, as after a ReLU."""
    rng = np.random.default_rng(0)
    texture = rng.standard_normal((1, 12, 20, channels))
    return (texture + common * np.abs(rng.standard_normal(channels))).astype(np.float32)


def test_costs_are_cosines_with_the_maximum_at_the_displacement():
    target = features()
    source = np.roll(target, (1, -2), axis=(1, 2))  # point p of the target is at p + (-2, 1) in the source
    normalized = (_normalize_features(jnp.asarray(x)) for x in (target, source))
    costs = np.asarray(cost_volume(*normalized, radius=4))
    inside = costs[0, 4:-4, 4:-4].reshape(-1, 81)
    assert np.abs(inside).max() <= 1.0 + 1e-5
    np.testing.assert_array_equal(inside.argmax(axis=-1), (1 + 4) * 9 + (-2 + 4))
    np.testing.assert_allclose(inside.max(axis=-1), 1.0, rtol=1e-4)
    # Without the normalization, the costs of other displacements are nearly as large.
    plain = np.asarray(cost_volume(jnp.asarray(target), jnp.asarray(source), radius=4))[0, 4:-4, 4:-4].reshape(-1, 81)
    spread = lambda x: np.mean((x.max(axis=-1) - np.median(x, axis=-1)) / x.max(axis=-1))  # noqa: E731
    assert spread(inside) > 2.0 * spread(plain)


def test_costs_are_invariant_to_scale_and_offset_of_features():
    x = jnp.asarray(features())
    np.testing.assert_allclose(_normalize_features(5.0 * x - 2.0), _normalize_features(x), atol=1e-4)
    flat = _normalize_features(jnp.ones((1, 4, 4, 3)))  # constant features: zero costs and a finite gradient
    np.testing.assert_array_equal(flat, 0.0)
    assert np.isfinite(jax.grad(lambda x: _normalize_features(x).sum())(jnp.ones((1, 4, 4, 3)))).all()


def test_flow_estimates_are_ordered_from_coarse_to_fine():
    net, psi = FlowNet(), jax.ShapeDtypeStruct((2, 3, 8, 12, 16), jnp.float32)
    flows, _ = jax.eval_shape(lambda x: net.init_with_output(jax.random.key(0), x), psi)
    assert [flow.shape for flow in flows] == [(2, 2, 2, 3, 2), (2, 2, 4, 6, 2), (2, 2, 8, 12, 2)]
