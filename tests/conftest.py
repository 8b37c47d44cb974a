"""Two CPU devices, strict numerics, float32 at highest precision: the conditions every test runs under."""

from __future__ import annotations

import gc
import logging
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Tests compile much and run little: the older emitters of the CPU compiler take half the time.
os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_cpu_use_fusion_emitters=false"

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import settings

# Tracing makes millions of objects that live on; looking through them again and again takes a twelfth of the time.
gc.set_threshold(200_000, 50, 100)

pytest.register_assert_rewrite("tests.helpers")

# A first example may compile; how long that takes says nothing about the code.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

jax.config.update("jax_platforms", "cpu")
jax.config.update("jax_num_cpu_devices", 2)
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_default_matmul_precision", "highest")
jax.config.update("jax_disable_most_optimizations", True)


@pytest.fixture(autouse=True)
def _plain_log():
    """The command line takes over our logger; give it back, or `caplog` hears nothing."""
    yield
    logger = logging.getLogger("sirr_jax")
    logger.handlers, logger.propagate = [], True
    logger.setLevel(logging.NOTSET)


@pytest.fixture(scope="session")
def dynamics_config():
    """`get_config` of configs/dynamics.py."""
    from tests.helpers.recipe_runs import config_of

    return config_of("dynamics")


@pytest.fixture(scope="session")
def student_params():
    """Parameters of `dynamics/student`, width tiny: random kernels, an output layer of zeros. Nothing is compiled."""
    from sirr_jax.models import build

    network = build("dynamics/student", width="tiny")
    shapes = jax.eval_shape(network.init, jax.random.key(0), jnp.zeros((1, 32, 32, 3)))["params"]
    rng = np.random.default_rng(0)

    def draw(path, leaf):
        names = [key.key for key in path]
        if names[-1] == "bias" or (names[-2] == "out" and names[0] == "decoder"):
            return np.zeros(leaf.shape, np.float32)
        bound = np.sqrt(6.0 / np.prod(leaf.shape[:-1]))
        return rng.uniform(-bound, bound, leaf.shape).astype(np.float32)

    return jax.tree_util.tree_map_with_path(draw, shapes)
