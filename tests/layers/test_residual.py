"""Residual block and squeeze-excite against their definitions."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sirr_jax.layers.residual import Residual, SqueezeExcite
from tests.helpers import literal


def drawn(module, *shape):
    """Random nonzero parameters of the module, and an input."""
    rng = np.random.default_rng(8)
    shapes = jax.eval_shape(module.init, jax.random.key(0), jnp.zeros(shape))["params"]
    params = jax.tree.map(lambda p: 0.5 * rng.standard_normal(p.shape).astype(np.float32), shapes)
    return params, rng.standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("dilation", [1, 4])
def test_residual_block_matches_its_definition(dilation):
    block = Residual(dilation=dilation)
    params, x = drawn(block, 2, 6, 5, 16)
    y = jax.jit(block.apply)({"params": params}, x)
    np.testing.assert_allclose(y, literal.residual(x, params, dilation=dilation), atol=1e-4)


def test_scale_multiplies_the_branch():
    params, x = drawn(Residual(), 1, 4, 4, 8)
    tenth, whole, none = (Residual(scale=scale).apply({"params": params}, jnp.asarray(x)) for scale in (0.1, 1.0, 0.0))
    np.testing.assert_array_equal(none, x)
    np.testing.assert_allclose(10.0 * (tenth - x), whole - x, atol=1e-4)
    assert np.abs(whole - x).max() > 0.1


def test_squeeze_excite_matches_its_definition_and_gates_whole_channels():
    gate = SqueezeExcite()
    params, x = drawn(gate, 2, 3, 4, 16)
    y = jax.jit(gate.apply)({"params": params}, x)
    np.testing.assert_allclose(y, literal.squeeze_excite(x.astype(np.float64), params), atol=1e-5)
    ratio = np.asarray(y) / x
    assert np.all((ratio > 0.0) & (ratio < 1.0))
    np.testing.assert_allclose(ratio, np.broadcast_to(ratio[:, :1, :1], ratio.shape), rtol=1e-5)


def test_residual_block_without_gates_adds_only_the_convolutions():
    block = Residual(gated=False)
    params, x = drawn(block, 1, 5, 4, 8)
    assert params.keys() == {"conv1", "conv2"}
    branch = literal.conv2d(literal.relu(literal.conv2d(x, **params["conv1"])), **params["conv2"])
    np.testing.assert_allclose(block.apply({"params": params}, jnp.asarray(x)), x + 0.1 * branch, atol=1e-4)


@pytest.mark.parametrize(("channels", "hidden"), [(64, 8), (12, 1), (4, 1)])
def test_squeeze_excite_has_an_eighth_of_the_channels_but_at_least_one(channels, hidden):
    shapes = jax.eval_shape(SqueezeExcite().init, jax.random.key(0), jnp.zeros((1, 2, 2, channels)))["params"]
    assert shapes["squeeze"]["kernel"].shape == (channels, hidden)
    assert shapes["excite"]["kernel"].shape == (hidden, channels)


def test_bfloat16_computation_keeps_float32_parameters():
    x = jnp.zeros((1, 2, 2, 8), jnp.bfloat16)
    block = Residual(dtype=jnp.bfloat16)
    y, variables = jax.eval_shape(lambda: block.init_with_output(jax.random.key(0), x))
    assert (y.shape, y.dtype) == (x.shape, jnp.bfloat16)
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype("float32")}
