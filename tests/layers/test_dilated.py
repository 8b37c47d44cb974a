"""Dilated convolutions and their gradients against JAX's."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sirr_jax.layers.conv import conv
from sirr_jax.layers.dilated import dilated_conv


def plain(x, kernel, strides, padding, *, rhs_dilation, feature_group_count=1):
    numbers = ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(
        x, kernel, strides, padding, rhs_dilation=rhs_dilation, feature_group_count=feature_group_count,
        dimension_numbers=numbers, precision="highest",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("size", "side", "dilation", "padding", "groups", "strides"),
    [
        ((8, 8), 3, (2, 2), ((2, 2), (2, 2)), 1, (1, 1)),
        ((9, 7), 3, (4, 4), ((4, 4), (4, 4)), 1, (1, 1)),
        ((5, 6), 3, (8, 8), ((8, 8), (8, 8)), 1, (1, 1)),  # some taps are always outside the image
        ((9, 10), 2, (3, 2), ((0, 1), (2, 0)), 2, (1, 1)),
        ((9, 7), 3, (2, 2), ((2, 2), (2, 2)), 1, (2, 2)),
    ],
    ids=str,
)
def test_dilated_conv_and_its_gradients_match_jax(size, side, dilation, padding, groups, strides):
    x, kernel = (
        jax.random.normal(jax.random.key(i), shape)
        for i, shape in enumerate(((2, *size, 4), (side, side, 4 // groups, 6)))
    )

    @jax.jit
    def both(x, kernel):
        options = {"rhs_dilation": dilation, "feature_group_count": groups}
        expected, expected_vjp = jax.vjp(lambda *a: plain(*a, strides, padding, **options), x, kernel)
        numbers = {"dimension_numbers": ("NHWC", "HWIO", "NHWC"), "precision": "highest"}
        actual, found_vjp = jax.vjp(lambda *a: dilated_conv(*a, strides, padding, **options, **numbers), x, kernel)
        gradient = jax.random.normal(jax.random.key(2), expected.shape)
        return (expected, *expected_vjp(gradient)), (actual, *found_vjp(gradient))

    for expected, actual in zip(*both(x, kernel), strict=True):
        np.testing.assert_allclose(actual, expected, atol=1e-4)


def test_no_gradient_is_a_convolution_by_a_dilated_image():
    layer = conv(4, dilation=4, dtype=jnp.bfloat16)
    x = jnp.zeros((1, 16, 16, 4))
    params = layer.init(jax.random.key(0), x)

    def loss(params, x):
        return layer.apply(params, x).astype(jnp.float32).sum()

    program = jax.make_jaxpr(jax.grad(loss, argnums=(0, 1)))(params, x)
    convolutions = [e for e in program.eqns if e.primitive.name == "conv_general_dilated"]
    assert len(convolutions) >= 2
    for e in convolutions:
        numbers = e.params["dimension_numbers"].rhs_spec[2:]
        assert e.params["rhs_dilation"] == (1, 1) or [e.invars[1].aval.shape[i] for i in numbers] == [3, 3]
