"""Default initialization of early versions of PyTorch."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sirr_jax.models.torch_uniform import torch_uniform

SHAPES = {
    "conv": ((5, 5, 4, 64), 1 / 10),
    "deconv": ((4, 4, 9, 100), 1 / 12),
    "dense": ((400, 60), 1 / 20),
}


def test_each_layer_is_uniform_within_the_bounds_of_its_fan_in():
    params = {
        "block": {name: {"kernel": jnp.zeros(s), "bias": jnp.zeros(s[-1])} for name, (s, _) in SHAPES.items()},
        "plain": {"kernel": jnp.zeros((3, 3, 4, 9))},
    }
    drawn = torch_uniform(jax.random.key(0), params)
    assert jax.tree.map(jnp.shape, drawn) == jax.tree.map(jnp.shape, params)
    for name, (_, bound) in SHAPES.items():
        for part, most in (("kernel", 0.999), ("bias", 0.8)):
            values = np.abs(np.asarray(drawn["block"][name][part]))
            assert most * bound < values.max() <= bound
        spread = np.std(np.asarray(drawn["block"][name]["kernel"]))
        assert spread == pytest.approx(bound / np.sqrt(3), rel=0.03)
    leaves = [np.asarray(x).ravel()[:9] for x in jax.tree.leaves(drawn)]
    assert len({x.tobytes() for x in leaves}) == len(leaves)
