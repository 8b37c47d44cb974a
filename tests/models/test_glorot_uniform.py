from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from sirr_jax.models.glorot_uniform import glorot_uniform


def test_kernels_are_uniform_within_glorot_bounds_and_other_parameters_are_kept():
    params = {
        "a": {"kernel": jnp.zeros((3, 3, 8, 40)), "bias": jnp.ones(40)},
        "b": {"conv": {"kernel": jnp.zeros((3, 3, 8, 40))}, "norm": {"scale": jnp.full(7, 2.0)}},
        "fc": {"kernel": jnp.zeros((50, 30))},
    }
    redrawn = glorot_uniform(jax.random.key(1), params)
    for kernel, bound in (
        (redrawn["a"]["kernel"], np.sqrt(6 / (9 * 48))),
        (redrawn["b"]["conv"]["kernel"], np.sqrt(6 / (9 * 48))),
        (redrawn["fc"]["kernel"], np.sqrt(6 / 80)),
    ):
        assert 0.99 * bound < np.abs(kernel).max() <= bound
        np.testing.assert_allclose(np.std(kernel), bound / np.sqrt(3), rtol=0.05)
    assert not np.array_equal(redrawn["a"]["kernel"], redrawn["b"]["conv"]["kernel"])
    np.testing.assert_array_equal(redrawn["a"]["bias"], params["a"]["bias"])
    np.testing.assert_array_equal(redrawn["b"]["norm"]["scale"], params["b"]["norm"]["scale"])
