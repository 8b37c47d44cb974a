"""Initial variables depend only on the key."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from sirr_jax.models.initialize import initialize
from sirr_jax.models.patchgan import PatchDiscriminator
from tests.helpers.networks import parameter_shapes

SHAPE = (1, 32, 32, 3)


@pytest.fixture(scope="module")
def module():
    return PatchDiscriminator(features=(4, 4, 4, 4))


@pytest.fixture(scope="module")
def drawn(module):
    return initialize(module, jax.random.key(0), SHAPE)


def test_initialization_depends_on_the_key(module, drawn):
    again, other = (initialize(module, jax.random.key(seed), SHAPE) for seed in (0, 1))
    jax.tree.map(np.testing.assert_array_equal, again, drawn)
    for a, b in zip(jax.tree.leaves(drawn), jax.tree.leaves(other), strict=True):
        assert np.any(np.asarray(a) != np.asarray(b)) == (a.ndim > 1)


def test_tree_is_that_of_the_module(module, drawn):
    assert drawn.keys() == {"params"}
    actual = jax.tree.map(lambda x: (x.shape, x.dtype), drawn["params"])
    assert actual == jax.tree.map(lambda x: (x.shape, x.dtype), parameter_shapes(module, SHAPE))


def test_layers_of_equal_shape_are_drawn_independently(drawn):
    kernels = [np.asarray(drawn["params"][f"conv{i}"]["kernel"]) for i in (1, 2, 3)]
    assert not np.allclose(kernels[0], kernels[1])
    assert not np.allclose(kernels[1], kernels[2])
