"""The transposed convolution against a literal sum and against the convolution that it transposes; its sizes."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sirr_jax.layers.conv_transpose import ConvTranspose
from tests.helpers import literal

# Kernel, stride, padding, output padding; the first runs in sub-pixel form.
CASES = [(4, 2, 1, 0), (3, 2, 1, 1), (4, 2, 0, 0), (3, 2, 1, 0), (2, 2, 0, 0), (3, 1, 1, 0), (4, 4, 1, 2)]


def make(kernel, stride, padding, output_padding, **options):
    layer = ConvTranspose(5, kernel=kernel, stride=stride, padding=padding, output_padding=output_padding, **options)
    rng = np.random.default_rng(kernel)
    params = {"kernel": rng.standard_normal((kernel, kernel, 3, 5)).astype(np.float32)}
    if layer.bias:
        params["bias"] = rng.standard_normal(5).astype(np.float32)
    return layer, params


def image(*shape):
    return np.random.default_rng(1).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_conv_transpose_matches_a_sum_over_pixels(case):
    layer, params = make(*case)
    x = image(2, 3, 4, 3)
    y = jax.jit(layer.apply)({"params": params}, x)
    options = dict(zip(("stride", "padding", "output_padding"), case[1:], strict=True))
    np.testing.assert_allclose(y, literal.conv_transpose2d(x, **params, **options), atol=1e-5)


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (7, 2)])
def test_subpixel_form_is_correct_at_all_borders(size):
    layer, params = make(4, 2, 1, 0)
    x = image(1, *size, 3)
    y = jax.jit(layer.apply)({"params": params}, x)
    assert y.shape == (1, 2 * size[0], 2 * size[1], 5)
    np.testing.assert_allclose(y, literal.conv_transpose2d(x, **params), atol=1e-5)


@pytest.mark.parametrize("case", [(4, 2, 1, 0), (3, 2, 1, 1), (4, 2, 0, 0)], ids=str)
def test_conv_transpose_is_the_transpose_of_conv(case):
    layer, params = make(*case, bias=False)
    _, stride, padding, _ = case
    x = image(1, 3, 5, 3)
    y = layer.apply({"params": params}, x)
    weights = image(*y.shape)
    # <transposed(x), w> = <x, convolved(w)>: the convolution maps the 5 channels back to 3.
    backwards = np.swapaxes(params["kernel"], 2, 3)
    convolved = literal.conv2d(weights, backwards, stride=stride, padding=padding)
    assert convolved.shape == x.shape
    assert np.sum(np.asarray(y, np.float64) * weights) == pytest.approx(np.sum(x * convolved), rel=1e-5)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_gradients_match_the_sum_over_pixels(case):
    layer, params = make(*case)
    x = image(1, 2, 3, 3)
    weights = image(*jax.eval_shape(layer.apply, {"params": params}, x).shape)

    def loss(params, x):
        return (layer.apply({"params": params}, x) * weights).sum()

    of_params, of_x = jax.jit(jax.grad(loss, (0, 1)))(params, x)
    kernel, stride, padding, _ = case
    expected = literal.conv2d(weights, np.swapaxes(params["kernel"], 2, 3), stride=stride, padding=padding)
    np.testing.assert_allclose(of_x, expected, atol=1e-5)
    np.testing.assert_allclose(of_params["bias"], weights.sum(axis=(0, 1, 2)), rtol=1e-5)
    # The layer is linear in its kernel: a single tap of 1 gives the gradient of that tap.
    tap = np.zeros_like(params["kernel"])
    options = dict(zip(("stride", "padding", "output_padding"), case[1:], strict=True))
    for place in [(0, 0, 0, 0), (kernel - 1, 0, 1, 2), (1, kernel - 1, 2, 4)]:
        tap[place] = 1.0
        slope = np.sum(literal.conv_transpose2d(x, tap, **options) * weights)
        tap[place] = 0.0
        np.testing.assert_allclose(of_params["kernel"][place], slope, atol=1e-5)


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("bias", [True, False])
def test_output_size_parameters_and_dtypes(case, bias):
    layer, params = make(*case, bias=bias, dtype=jnp.bfloat16)
    kernel, stride, padding, output_padding = case
    y, variables = jax.eval_shape(lambda: layer.init_with_output(jax.random.key(0), jnp.zeros((1, 6, 9, 3))))
    size = tuple((n - 1) * stride - 2 * padding + kernel + output_padding for n in (6, 9))
    assert (y.shape, y.dtype) == ((1, *size, 5), jnp.bfloat16)
    assert {name: (p.shape, p.dtype) for name, p in variables["params"].items()} == {
        name: (p.shape, np.dtype("float32")) for name, p in params.items()
    }
