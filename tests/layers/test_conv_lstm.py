"""The convolutional LSTM cell against its equations."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sirr_jax.layers.conv_lstm import ConvLSTM
from tests.helpers import literal


def draw(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def parameters(cell, x):
    shapes = jax.eval_shape(cell.init, jax.random.key(0), x, None)["params"]
    # The seeds depend on the gate and on the array's size, so that all arrays differ.
    return {
        gate: {name: 0.5 * draw(ord(gate) + leaf.size, *leaf.shape) for name, leaf in arrays.items()}
        for gate, arrays in shapes.items()
    }


def literal_step(x, state, params):
    """Four separate convolutions, features before the hidden state."""
    z = np.concatenate((x, state[0]), axis=-1)
    i, f, g, o = (literal.conv2d(z, **params[name]) for name in "ifgo")
    cell = literal.sigmoid(f) * state[1] + literal.sigmoid(i) * np.tanh(g)
    return literal.sigmoid(o) * np.tanh(cell), cell


@pytest.mark.parametrize("kernel", [1, 3])
def test_conv_lstm_matches_its_equations_over_two_steps(kernel):
    cell = ConvLSTM(4, kernel=kernel)
    x, state = draw(0, 2, 5, 6, 3), (draw(1, 2, 5, 6, 4), draw(2, 2, 5, 6, 4))
    params = parameters(cell, x)
    step = jax.jit(lambda x, state: cell.apply({"params": params}, x, state))
    expected = literal_step(x, literal_step(x, state, params), params)
    for actual, desired in zip(step(x, step(x, state)), expected, strict=True):
        np.testing.assert_allclose(actual, desired, atol=1e-6)


def test_initial_state_is_zero():
    cell, x, nothing = ConvLSTM(4), draw(0, 1, 4, 4, 3), np.zeros((1, 4, 4, 4), np.float32)
    params = parameters(cell, x)
    step = jax.jit(lambda x, state: cell.apply({"params": params}, x, state))
    without, with_zeros = (step(x, state) for state in (None, (nothing, nothing)))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), without, with_zeros)


def test_gates_have_separate_float32_parameters():
    cell = ConvLSTM(5, dtype=jnp.bfloat16)
    x = jnp.zeros((1, 4, 4, 3))
    (hidden, memory), variables = jax.eval_shape(lambda: cell.init_with_output(jax.random.key(0), x, None))
    shapes = jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype.name), variables["params"])
    assert shapes == {name: {"kernel": ((3, 3, 8, 5), "float32"), "bias": ((5,), "float32")} for name in "ifgo"}
    assert hidden.shape == memory.shape == (1, 4, 4, 5)
    assert hidden.dtype == memory.dtype == jnp.bfloat16
