"""Initialization of kernels from a narrow normal distribution."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sirr_jax.models.normal import normal

PARAMS = {
    "a": {"kernel": jnp.ones((3, 3, 20, 40)), "bias": jnp.full(40, 0.5)},
    "b": {"norm": {"scale": jnp.ones(40)}, "kernel": jnp.ones((3, 3, 20, 40))},
}


def test_kernels_are_normal_and_other_parameters_are_kept():
    drawn = normal(jax.random.key(0), PARAMS)
    kernels = [np.asarray(drawn[name].pop("kernel")) for name in ("a", "b")]
    rest = {"a": {"bias": PARAMS["a"]["bias"]}, "b": {"norm": PARAMS["b"]["norm"]}}
    jax.tree.map(np.testing.assert_array_equal, drawn, rest)
    for kernel in kernels:
        assert (kernel.shape, kernel.dtype) == ((3, 3, 20, 40), np.float32)
        assert kernel.std() == pytest.approx(0.02, rel=0.03)
        assert abs(kernel.mean()) < 1e-3
    assert not np.allclose(*kernels)


def test_deviation_is_an_option():
    kernel = np.asarray(normal(jax.random.key(0), PARAMS, deviation=0.1)["a"]["kernel"])
    assert kernel.std() == pytest.approx(0.1, rel=0.03)
