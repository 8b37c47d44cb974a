"""The sub-pixel form of `UpsampleConv` against upsampling followed by convolution."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sirr_jax.layers.upsample_conv import UpsampleConv


def plain(params, x):
    enlarged = jnp.repeat(jnp.repeat(x, 2, axis=1), 2, axis=2)
    y = jax.lax.conv_general_dilated(
        enlarged, params["kernel"], (1, 1), ((1, 1), (1, 1)), dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    return y + params["bias"].reshape(1, 1, 1, -1)


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (6, 4)])
def test_upsample_conv_and_its_gradients_match_the_plain_form(size):
    rng = np.random.default_rng(1)
    draw = lambda *shape: jnp.asarray(rng.standard_normal(shape), jnp.float32)  # noqa: E731
    params, x = {"kernel": draw(3, 3, 3, 5), "bias": draw(5)}, draw(2, *size, 3)
    weights = draw(2, 2 * size[0], 2 * size[1], 5)

    def evaluate(f):
        def weighted(params, x):
            y = f(params, x)
            return (y * weights).sum(), y

        return jax.jit(jax.grad(weighted, argnums=(0, 1), has_aux=True))(params, x)

    ours = evaluate(lambda params, x: UpsampleConv(5).apply({"params": params}, x))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=2e-5, rtol=1e-5), ours, evaluate(plain))


def test_parameters_are_those_of_a_3x3_convolution_in_float32():
    x = jnp.zeros((1, 3, 4, 6))
    layer = UpsampleConv(5, dtype=jnp.bfloat16)
    y, variables = jax.eval_shape(lambda: layer.init_with_output(jax.random.key(0), x))
    shapes = jax.tree.map(lambda p: (p.shape, p.dtype.name), variables["params"])
    assert shapes == {"kernel": ((3, 3, 6, 5), "float32"), "bias": ((5,), "float32")}
    assert (y.shape, y.dtype) == ((1, 6, 8, 5), jnp.bfloat16)
