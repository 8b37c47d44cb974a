"""Optimizer steps against PyTorch's."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

from sirr_jax.training.optimizers import apply_gradients, make_optimizer

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch


@pytest.mark.parametrize(
    ("options", "reference"),
    [
        ({"name": "rmsprop"}, lambda p: torch.optim.RMSprop(p, lr=0.01)),
        ({"name": "adam", "eps": 1e-7}, lambda p: torch.optim.Adam(p, lr=0.01, betas=(0.5, 0.9), eps=1e-7)),
        ({"name": "sgd", "momentum": 0.9}, lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.9)),
        ({"name": "sgd"}, lambda p: torch.optim.SGD(p, lr=0.01)),
        (
            {"name": "adam", "l2": 0.1},
            lambda p: torch.optim.Adam(p, lr=0.01, betas=(0.5, 0.9), weight_decay=0.1),
        ),
        (
            {"name": "adamw", "weight_decay": 0.1},
            lambda p: torch.optim.AdamW(p, lr=0.01, betas=(0.5, 0.9), weight_decay=0.1),
        ),
    ],
)
def test_optimizers_match_torch_over_five_steps(options, reference):
    config = ConfigDict({"learning_rate": 0.01, "clip": 0.0, "b1": 0.5, "b2": 0.9, "schedule": "constant"} | options)
    optimizer = make_optimizer(config, "generator", 5)
    rng = np.random.default_rng(0)
    start, gradients = rng.standard_normal(7), rng.standard_normal((5, 7))
    theirs = torch.nn.Parameter(torch.tensor(start, dtype=torch.float32))
    steps = reference([theirs])
    ours = jnp.asarray(start, jnp.float32)
    state = optimizer.init(ours)
    for gradient in gradients:
        theirs.grad = torch.tensor(gradient, dtype=torch.float32)
        steps.step()
        ours, state = apply_gradients(optimizer, jnp.asarray(gradient, jnp.float32), state, ours)
    np.testing.assert_allclose(ours, theirs.detach().numpy(), atol=1e-6)
