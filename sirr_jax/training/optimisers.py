"""The optimiser of a network: clipped Adam with a cosine schedule."""

from __future__ import annotations

from typing import Any

import jax
import optax
from ml_collections import ConfigDict


def make_optimiser(config: ConfigDict, updates: int) -> optax.GradientTransformation:
    """Adam whose learning rate falls along a cosine over all the updates that a network gets.

    Args:
        config: `learning_rate`, `final_learning_rate`, `b1`, `b2`, `clip` (largest global gradient norm; 0 for none).
        updates: number of updates over all stages.
    """
    final = config.final_learning_rate / config.learning_rate
    schedule = optax.cosine_decay_schedule(config.learning_rate, max(updates, 1), alpha=final)
    adam = optax.adam(schedule, b1=config.b1, b2=config.b2)
    return optax.chain(optax.clip_by_global_norm(config.clip), adam) if config.clip > 0 else adam


def apply_gradients(
    optimiser: optax.GradientTransformation, gradients: Any, opt_state: Any, params: Any
) -> tuple[Any, Any]:
    """One optimiser step: `(params, opt_state)` after it."""
    # optax raises floats to integer powers, which strict promotion forbids.
    with jax.numpy_dtype_promotion("standard"):
        updates, opt_state = optimiser.update(gradients, opt_state, params)
        return optax.apply_updates(params, updates), opt_state
