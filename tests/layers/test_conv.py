"""The convolution and its padding against a literal sum over taps."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sirr_jax.layers.conv import conv
from tests.helpers import literal


@pytest.mark.parametrize(
    ("options", "size"),
    [
        ({}, (5, 6)),
        ({"kernel": 5}, (4, 7)),
        ({"kernel": 1}, (3, 4)),
        ({"stride": 2}, (6, 5)),
        ({"dilation": 4}, (7, 6)),
        ({"kernel": 4, "stride": 2, "padding": 1}, (8, 7)),
        ({"stride": 2, "padding": ((0, 1), (1, 2))}, (6, 7)),
        ({"kernel": 4, "padding": ((1, 2), (2, 1))}, (5, 4)),
        ({"bias": False}, (4, 4)),
        ({"groups": 2}, (5, 4)),
        ({"groups": 4, "stride": 2}, (5, 4)),
    ],
    ids=str,
)
def test_conv_matches_a_sum_over_taps(options, size):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, *size, 4)).astype(np.float32)
    side, groups = options.get("kernel", 3), options.get("groups", 1)
    params = {"kernel": rng.standard_normal((side, side, 4 // groups, 4)), "bias": rng.standard_normal(4)}
    if not options.get("bias", True):
        del params["bias"]
    params = {name: value.astype(np.float32) for name, value in params.items()}
    y = jax.jit(conv(4, **options).apply)({"params": params}, x)
    rest = {name: value for name, value in options.items() if name not in ("kernel", "bias")}
    np.testing.assert_allclose(y, literal.conv2d(x, **params, **rest), atol=1e-5)


def test_conv_keeps_the_size_by_default_and_float32_parameters():
    x = jnp.zeros((1, 9, 7, 3))
    for kernel, dilation in ((1, 1), (3, 1), (3, 8), (5, 2)):
        layer = conv(4, kernel=kernel, dilation=dilation, dtype=jnp.bfloat16)
        y, variables = jax.eval_shape(lambda x, layer=layer: layer.init_with_output(jax.random.key(0), x), x)
        assert (y.shape, y.dtype) == ((1, 9, 7, 4), jnp.bfloat16)
        assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype("float32")}


def test_initial_kernels_are_he_uniform_or_zero():
    x = jnp.zeros((1, 4, 4, 32))
    drawn = jax.jit(conv(64).init)(jax.random.key(0), x)["params"]
    bound = np.sqrt(6.0 / (9 * 32))
    assert np.abs(drawn["kernel"]).max() <= bound
    assert np.std(drawn["kernel"]) == pytest.approx(bound / np.sqrt(3), rel=0.02)
    assert not np.any(drawn["bias"])
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(jax.jit(conv(3, zero=True).init)(jax.random.key(0), x)))
