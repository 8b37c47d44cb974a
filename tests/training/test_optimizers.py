"""Optimizers, schedules and learning rate multipliers from the config."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from sirr_jax.errors import UserError
from sirr_jax.training.optimizers import apply_gradients, make_optimizer
from sirr_jax.weights.variables import flatten


def sizes(config, name, *, updates=100):
    """Returns the size of each step along a constant gradient."""
    optimizer = make_optimizer(config, name, updates)
    params, steps = jnp.zeros(()), []
    state = optimizer.init(params)
    for _ in range(updates):
        after, state = apply_gradients(optimizer, jnp.ones(()), state, params)
        steps.append(-float(after))
    return np.array(steps)


def test_cosine_schedule(toy_config):
    toy_config.optimizer.clip = 0.0
    expected = 0.01 + (0.05 - 0.01) * (1 + np.cos(np.pi * np.arange(100) / 100)) / 2
    np.testing.assert_allclose(sizes(toy_config.optimizer, "generator"), expected, rtol=1e-3)


def test_one_network_has_other_values(toy_config):
    toy_config.optimizer.clip = 0.0
    toy_config.optimizer.schedule = "constant"
    toy_config.optimizer.networks = {"discriminator": {"learning_rate": 0.5, "name": "sgd"}}
    np.testing.assert_allclose(sizes(toy_config.optimizer, "generator", updates=5), 0.05, rtol=1e-3)
    np.testing.assert_allclose(sizes(toy_config.optimizer, "discriminator", updates=5), 0.5, rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("name", "adamm", r"config\.optimizer\.name is 'adamm'; did you mean 'adam'\?"),
        ("name", "GradientTransformation", "choose an optimizer of optax"),
        ("name", None, "choose an optimizer of optax"),
        ("schedule", "halving", r"config\.optimizer\.schedule is 'halving'; choose one of cosine, constant, step"),
        ("schedule", "step", "needs step_size, in updates: 1 or more"),
        ("learning_rte", 1.0, r"config\.optimizer has no 'learning_rte', given for generator; did you mean "),
        ("networks", {"generator": {"learning_rte": 1.0}}, "has no 'learning_rte', given for generator"),
        ("learning_rate", -1e-3, r"learning_rate=-0\.001 of generator: expected a number above 0"),
        ("learning_rate", 1e-3, r"final_learning_rate=0\.01 of generator: expected 0 to its learning_rate, 0\.001"),
        ("clip", -1.0, r"clip=-1\.0 of generator: expected a norm above 0, or 0 for none"),
    ],
)
def test_invalid_values_are_errors(toy_config, name, value, message):
    toy_config.optimizer[name] = value
    with pytest.raises(UserError, match=message):
        make_optimizer(toy_config.optimizer, "generator", 10)


def test_step_schedule(toy_config):
    toy_config.optimizer.update({"clip": 0.0, "name": "sgd", "schedule": "step", "step_size": 3, "gamma": 0.5})
    expected = 0.05 * 0.5 ** (np.arange(9) // 3)
    np.testing.assert_allclose(sizes(toy_config.optimizer, "generator", updates=9), expected, rtol=1e-6)


def test_lr_mults_scale_the_learning_rate_by_parameter_path(toy_config):
    params = {
        "encoder": {"conv": {"kernel": jnp.ones(2)}, "norm": {"scale": jnp.ones(2)}},
        "decoder": {"conv": {"kernel": jnp.ones(2)}},
    }
    toy_config.optimizer.clip = 0.0
    toy_config.optimizer.lr_mults = (("encoder/.*/scale", 0.0), ("encoder", 0.1))
    for name in ("sgd", "adam"):
        toy_config.optimizer.name = name
        optimizer = make_optimizer(toy_config.optimizer, "generator", 10)
        after, _ = apply_gradients(optimizer, params, optimizer.init(params), params)
        steps = {"/".join(path): float(1.0 - x[0]) for path, x in flatten(after).items()}
        assert steps["encoder/norm/scale"] == 0.0
        assert steps["decoder/conv/kernel"] == pytest.approx(0.05, rel=1e-3)
        assert steps["encoder/conv/kernel"] == pytest.approx(0.005, rel=1e-3)
