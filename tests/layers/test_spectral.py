"""Spectral normalization against the power iteration in NumPy: updates of its vectors, and its gradients."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sirr_jax.layers.spectral import SpectralConv
from tests.helpers import literal

OPTIONS = [
    {"kernel": 4, "stride": 2, "padding": 1},
    {"kernel": 3, "dilation": 2, "padding": ((2, 1), (0, 2)), "bias": False},
    {"kernel": 4, "stride": 2, "padding": 1, "transposed": True},
    {"kernel": 3, "stride": 2, "padding": 0, "transposed": True, "bias": False},
]


def make(options, *, seed=0):
    """A layer from 3 to 5 channels with random variables, and an image."""
    rng = np.random.default_rng(seed)
    draw = lambda *shape: rng.standard_normal(shape).astype(np.float32)  # noqa: E731
    side = options["kernel"]
    params = {"kernel": draw(side, side, 3, 5)}
    if options.get("bias", True):
        params["bias"] = draw(5)
    stats = {"u": unit(draw(5)), "v": unit(draw(3 * side * side))}
    return SpectralConv(5, **options), {"params": params, "batch_stats": stats}, draw(2, 5, 6, 3)


def unit(x):
    return x / np.linalg.norm(x)


def rows(kernel):
    """One row per output channel; columns run over input channels, rows and columns of the kernel."""
    return np.stack([kernel[..., o].transpose(2, 0, 1).ravel() for o in range(kernel.shape[3])]).astype(np.float64)


def plain(params, x, sigma, options):
    kernel, bias = params["kernel"] / sigma, params.get("bias", 0.0)
    rest = {name: value for name, value in options.items() if name not in ("kernel", "bias", "transposed")}
    convolve = literal.conv_transpose2d if options.get("transposed") else literal.conv2d
    return convolve(x, kernel, bias, **rest)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_evaluation_divides_by_the_stored_sigma(options):
    layer, variables, x = make(options)
    stats = variables["batch_stats"]
    sigma = stats["u"] @ rows(variables["params"]["kernel"]) @ stats["v"]
    y = jax.jit(layer.apply)(variables, x)
    np.testing.assert_allclose(y, plain(variables["params"], x, sigma, options), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_training_takes_one_power_iteration_and_stores_it_if_mutable(options):
    layer, variables, x = make(options)
    matrix = rows(variables["params"]["kernel"])
    v = unit(variables["batch_stats"]["u"] @ matrix)
    u = unit(matrix @ v)
    y, updates = jax.jit(lambda w, x: layer.apply(w, x, train=True, mutable=["batch_stats"]))(variables, x)
    np.testing.assert_allclose(updates["batch_stats"]["u"], u, atol=1e-6)
    np.testing.assert_allclose(updates["batch_stats"]["v"], v, atol=1e-6)
    np.testing.assert_allclose(y, plain(variables["params"], x, u @ matrix @ v, options), atol=1e-4)
    np.testing.assert_array_equal(jax.jit(lambda w, x: layer.apply(w, x, train=True))(variables, x), y)


def test_sigma_converges_to_the_largest_singular_value():
    layer, variables, x = make(OPTIONS[0])
    step = jax.jit(lambda w: w | layer.apply(w, x, train=True, mutable=["batch_stats"])[1])
    for _ in range(60):
        variables = step(variables)
    matrix, stats = rows(variables["params"]["kernel"]), variables["batch_stats"]
    assert stats["u"] @ matrix @ stats["v"] == pytest.approx(np.linalg.norm(matrix, 2), rel=1e-3)


@pytest.mark.parametrize("train", [False, True])
def test_gradients_pass_through_sigma_but_not_through_u_and_v(train):
    layer, variables, x = make(OPTIONS[1])
    kernel, stats = variables["params"]["kernel"], variables["batch_stats"]
    slopes = np.random.default_rng(1).standard_normal(layer.apply(variables, x).shape).astype(np.float32)

    def loss(params, stats):
        return (layer.apply({"params": params, "batch_stats": stats}, x, train=train) * slopes).sum()

    of_params, of_stats = jax.jit(jax.grad(loss, (0, 1)))(variables["params"], stats)
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(of_stats))
    matrix = rows(kernel)
    u, v = stats["u"], stats["v"]
    if train:
        v = unit(u @ matrix)
        u = unit(matrix @ v)
    sigma = u @ matrix @ v
    # The plain convolution is linear in its kernel: a single tap of 1 gives the gradient of that tap.
    slope = np.zeros(kernel.shape)
    for place in np.ndindex(kernel.shape):
        tap = np.zeros(kernel.shape)
        tap[place] = 1.0
        slope[place] = np.sum(plain({"kernel": tap}, x, 1.0, OPTIONS[1]) * slopes)
    expected = (rows(slope) - np.sum(rows(slope) * matrix) / sigma * np.outer(u, v)) / sigma
    np.testing.assert_allclose(rows(np.asarray(of_params["kernel"])), expected, rtol=1e-3, atol=1e-3)


def test_initial_sigma_is_close_to_the_largest_singular_value():
    layer, _, x = make(OPTIONS[0])
    variables = jax.jit(lambda key: layer.init(key, x, train=True))(jax.random.key(0))
    matrix, stats = rows(np.asarray(variables["params"]["kernel"])), variables["batch_stats"]
    np.testing.assert_allclose(np.linalg.norm(stats["u"]), 1.0, rtol=1e-5)
    np.testing.assert_allclose(stats["v"], unit(stats["u"] @ matrix), atol=1e-5)
    sigma, largest = stats["u"] @ matrix @ stats["v"], np.linalg.norm(matrix, 2)
    assert 0.3 * largest < sigma <= 1.001 * largest


def test_bfloat16_computation_keeps_float32_parameters_and_vectors():
    layer = SpectralConv(5, dtype=jnp.bfloat16)
    y, variables = jax.eval_shape(lambda: layer.init_with_output(jax.random.key(0), jnp.zeros((1, 4, 4, 3))))
    assert (y.shape, y.dtype) == ((1, 4, 4, 5), jnp.bfloat16)
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype("float32")}
    shapes = jax.tree.map(lambda leaf: leaf.shape, variables)
    assert shapes == {
        "params": {"kernel": (3, 3, 3, 5), "bias": (5,)},
        "batch_stats": {"u": (5,), "v": (27,)},
    }
