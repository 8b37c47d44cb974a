"""Conversions between [0, 1] and [-1, 1]."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from sirr_jax.layers.range import to_signed, to_unit


def test_to_signed_maps_the_ends_of_the_unit_range():
    np.testing.assert_array_equal(to_signed(jnp.array([0.0, 0.25, 0.5, 1.0])), [-1.0, -0.5, 0.0, 1.0])


def test_to_unit_maps_the_ends_of_the_signed_range():
    np.testing.assert_array_equal(to_unit(jnp.array([-1.0, -0.5, 0.0, 1.0])), [0.0, 0.25, 0.5, 1.0])


def test_to_unit_inverts_to_signed():
    x = jnp.asarray(np.random.default_rng(0).random((2, 5, 6, 3), np.float32))
    np.testing.assert_allclose(to_unit(to_signed(x)), x, atol=1e-7)


def test_the_dtype_is_kept():
    x = jnp.array([0.0, 1.0], jnp.bfloat16)
    assert to_signed(x).dtype == to_unit(x).dtype == jnp.bfloat16
