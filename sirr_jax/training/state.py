"""Everything that a training run remembers."""

from __future__ import annotations

from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import optax

from sirr_jax.recipes.base import Recipe
from sirr_jax.training import parallel


@flax.struct.dataclass
class TrainState:
    """Plain trees, replicated over devices; randomness is the config's seed and `step`, never carried.

    Attributes:
        step: int32, steps taken so far over all stages.
        stage: int32, index of the stage whose beginning has been applied; -1 at first.
        bad_step: int32, the first step whose loss was not finite; -1 while there is none.
        params: network -> parameters.
        collections: name -> statistics that losses replace.
        ema: learning network -> moving average of its parameters (a copy, never the same buffers).
        opt_state: learning network -> optimizer state.
    """

    step: jax.Array
    stage: jax.Array
    bad_step: jax.Array
    params: dict[str, Any]
    collections: dict[str, Any]
    ema: dict[str, Any]
    opt_state: dict[str, Any]


def learning_networks(recipe: Recipe) -> dict[str, int]:
    """Networks that learn in any stage of the recipe, with the number of updates they get in all."""
    updates: dict[str, int] = {}
    for stage in recipe.stages:
        for update in stage.updates:
            for name in update.learns:
                updates[name] = updates.get(name, 0) + stage.steps * update.times
    return updates


def create_state(recipe: Recipe, optimizers: dict[str, optax.GradientTransformation], key: jax.Array) -> TrainState:
    """Draw the initial state, on the host. Every leaf owns its buffer, as donation demands."""
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
    """Parameters to judge and to ship: the moving average of what learns, the rest as it is."""
    return {**state.params, **state.ema}
