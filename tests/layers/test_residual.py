"""Residual block and squeeze-excite against their definitions."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import literal
import numpy as np
import pytest

from sirr_jax.layers.residual import Residual, SqueezeExcite


def drawn(module, *shape):
    """An input, and parameters of the module's shapes, none of them zero."""
    rng = np.random.default_rng(8)
    shapes = jax.eval_shape(module.init, jax.random.key(0), jnp.zeros(shape))["params"]
    params = jax.tree.map(lambda p: 0.5 * rng.standard_normal(p.shape).astype(np.float32), shapes)
    return params, rng.standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("dilation", [1, 4])
def test_the_block_equals_its_definition(dilation):
    block = Residual(dilation=dilation)
    params, x = drawn(block, 2, 6, 5, 16)
    y = jax.jit(block.apply)({"params": params}, x)
    np.testing.assert_allclose(y, literal.residual(x, params, dilation=dilation), atol=1e-4)


def test_the_scale_is_that_of_the_branch():
    params, x = drawn(Residual(), 1, 4, 4, 8)
    tenth, whole, none = (Residual(scale=scale).apply({"params": params}, jnp.asarray(x)) for scale in (0.1, 1.0, 0.0))
    np.testing.assert_array_equal(none, x)
    np.testing.assert_allclose(10.0 * (tenth - x), whole - x, atol=1e-4)
    assert np.abs(whole - x).max() > 0.1


def test_squeeze_excite_equals_its_definition_and_gates_whole_channels():
    gate = SqueezeExcite()
    params, x = drawn(gate, 2, 3, 4, 16)
    y = jax.jit(gate.apply)({"params": params}, x)
    np.testing.assert_allclose(y, literal.squeeze_excite(x.astype(np.float64), params), atol=1e-5)
    ratio = np.asarray(y) / x
    assert np.all((ratio > 0.0) & (ratio < 1.0))
    np.testing.assert_allclose(ratio, np.broadcast_to(ratio[:, :1, :1], ratio.shape), rtol=1e-5)


@pytest.mark.parametrize(("channels", "hidden"), [(64, 8), (12, 1), (4, 1)])
def test_squeeze_excite_narrows_eightfold_but_never_to_nothing(channels, hidden):
    shapes = jax.eval_shape(SqueezeExcite().init, jax.random.key(0), jnp.zeros((1, 2, 2, channels)))["params"]
    assert shapes["squeeze"]["kernel"].shape == (channels, hidden)
    assert shapes["excite"]["kernel"].shape == (hidden, channels)


def test_channel_means_are_taken_in_float32():
    # 2000 pixels of 1 + 2^-7: a sum in bfloat16 would stop growing at 256.
    gate = SqueezeExcite(reduction=1, dtype=jnp.bfloat16)
    params = {name: {"kernel": jnp.eye(1), "bias": jnp.zeros(1)} for name in ("squeeze", "excite")}
    x = jnp.full((1, 40, 50, 1), 1.0 + 2.0**-7, jnp.bfloat16)
    y = gate.apply({"params": params}, x)
    assert y.dtype == jnp.bfloat16
    np.testing.assert_allclose(y.astype(jnp.float32), 1.0078 / (1.0 + np.exp(-1.0078)), rtol=1e-2)
