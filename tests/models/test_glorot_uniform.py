from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from sirr_jax.models.glorot_uniform import glorot_uniform


def test_kernels_are_uniform_within_glorots_bounds_and_nothing_else_moves():
    params = {
        "a": {"kernel": jnp.zeros((3, 3, 8, 40)), "bias": jnp.ones(40)},
        "b": {"conv": {"kernel": jnp.zeros((3, 3, 8, 40))}, "norm": {"scale": jnp.full(7, 2.0)}},
        "fc": {"kernel": jnp.zeros((50, 30))},
    }
    made = glorot_uniform(jax.random.key(1), params)
    for kernel, bound in (
        (made["a"]["kernel"], np.sqrt(6 / (9 * 48))),
        (made["b"]["conv"]["kernel"], np.sqrt(6 / (9 * 48))),
        (made["fc"]["kernel"], np.sqrt(6 / 80)),
    ):
        assert 0.99 * bound < np.abs(kernel).max() <= bound
        np.testing.assert_allclose(np.std(kernel), bound / np.sqrt(3), rtol=0.05)
    assert not np.array_equal(made["a"]["kernel"], made["b"]["conv"]["kernel"])
    np.testing.assert_array_equal(made["a"]["bias"], params["a"]["bias"])
    np.testing.assert_array_equal(made["b"]["norm"]["scale"], params["b"]["norm"]["scale"])
