"""Two CPU devices, strict numerics, float32 at highest precision: the conditions every test runs under."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import jax
import pytest

jax.config.update("jax_platforms", "cpu")
jax.config.update("jax_num_cpu_devices", 2)
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_default_matmul_precision", "highest")

_CONFIGS = Path(__file__).parent.parent / "configs"


@pytest.fixture(scope="session")
def dynamics_config():
    """`get_config` of configs/dynamics.py."""
    spec = importlib.util.spec_from_file_location("config_dynamics", _CONFIGS / "dynamics.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.get_config
