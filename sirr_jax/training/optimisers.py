"""The optimiser of a network: clipped Adam with a cosine schedule."""

from __future__ import annotations

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
