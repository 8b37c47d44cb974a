"""The training state."""

from __future__ import annotations

from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import optax

from sirr_jax.recipes.base import Recipe
from sirr_jax.training import parallel


class TrainState(flax.struct.PyTreeNode):
    """State of a run, replicated over devices. It has no PRNG key: random numbers depend on the seed and `step` alone.

    Attributes:
        step: number of finished steps over all stages, int32.
        stage: index of the last stage that has begun, int32; -1 at first.
        bad_step: first step whose loss or gradient was not finite, int32; -1 if there is none.
        params: network -> parameters.
        collections: name -> collection that losses replace, for example running statistics.
        ema: trained network -> moving average of its parameters, in buffers of its own.
        opt_state: trained network -> optimizer state.
    """

    step: jax.Array
    stage: jax.Array
    bad_step: jax.Array
    params: dict[str, Any]
    collections: dict[str, Any]
    ema: dict[str, Any]
    opt_state: dict[str, Any]


def learning_networks(recipe: Recipe) -> dict[str, int]:
    """Counts the updates of each trained network over all stages.

    Args:
        recipe: recipe.

    Returns:
        Network -> number of updates.
    """
    updates: dict[str, int] = {}
    for stage in recipe.stages:
        for update in stage.updates:
            for name in update.learns:
                updates[name] = updates.get(name, 0) + stage.steps * update.times
    return updates


def create_state(recipe: Recipe, optimizers: dict[str, optax.GradientTransformation], key: jax.Array) -> TrainState:
    """Draws the initial state, on the host. Every leaf has its own buffer, because the state is donated.

    Args:
        recipe: recipe.
        optimizers: trained network -> optimizer.
        key: PRNG key.
    """
    with parallel.on_host():
        params, collections = recipe.init(key)
        state = TrainState(
            step=jnp.zeros((), jnp.int32),
            stage=jnp.full((), -1, jnp.int32),
            bad_step=jnp.full((), -1, jnp.int32),
            params=params,
            collections=collections,
            ema={name: params[name] for name in optimizers},
            opt_state={name: optimizer.init(params[name]) for name, optimizer in optimizers.items()},
        )
        return jax.tree.map(lambda x: jnp.array(x, copy=True), state)


def evaluation_params(state: TrainState) -> dict[str, Any]:
    """Returns the parameters to evaluate and export: moving averages of trained networks, the others unchanged.

    Args:
        state: training state.
    """
    return {**state.params, **state.ema}
