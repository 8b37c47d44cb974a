"""The training step of a stage, and several steps in one call."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from sirr_jax.recipes.base import Aux, Recipe, Tree, Update
from sirr_jax.training import parallel
from sirr_jax.training.optimizers import apply_gradients
from sirr_jax.training.state import TrainState


class Settings(NamedTuple):
    """Config values that the training step uses.

    Attributes:
        seed: base random seed.
        grad_accum_steps: micro-batches per step.
        ema_decay: decay rate of the moving averages, with a warm-up: min(decay, (1 + n) / (10 + n)), where n is the
            number of steps in which the network has been trained, in this and earlier stages.
    """

    seed: int
    grad_accum_steps: int = 1
    ema_decay: float = 0.999


def build_step(
    recipe: Recipe,
    stage_index: int,
    first_step: int,
    optimizers: dict[str, optax.GradientTransformation],
    settings: Settings,
) -> parallel.Step:
    """Makes the training step of a stage, for one device.

    For each update of the stage, in order, the step differentiates the loss with respect to the networks that learn,
    averages the gradients over micro-batches and devices, and applies the optimizer of each network. It then updates
    the moving averages. Other networks are returned unchanged.

    Args:
        recipe: recipe.
        stage_index: index of the stage.
        first_step: `state.step` at which the stage begins.
        optimizers: trained network -> optimizer.
        settings: settings from the config.

    Returns:
        `step(state, raw_batch) -> (state, scalars)`.
    """
    stage = recipe.stages[stage_index]
    learning = sorted({name for update in stage.updates for name in update.learns})
    trained = {name: _steps_before(recipe, stage_index, name) for name in learning}

    def step(state: TrainState, raw: Tree) -> tuple[TrainState, dict[str, jax.Array]]:
        run_key = jax.random.key(settings.seed)
        in_stage = state.step - first_step
        batch = recipe.prepare(raw, run_key)
        batches = jax.tree.map(lambda x: x.reshape(settings.grad_accum_steps, -1, *x.shape[1:]), batch)
        progress = in_stage.astype(jnp.float32) / stage.steps
        step_key = jax.random.fold_in(jax.random.fold_in(run_key, state.step), jax.lax.axis_index(parallel.AXIS))

        params, collections, opt_state = dict(state.params), dict(state.collections), dict(state.opt_state)
        scalars, finite = {}, jnp.array(True)
        for number, update in enumerate(stage.updates):
            for repeat in range(update.times):
                key = jax.random.fold_in(step_key, number * 1000 + repeat)
                gradients, loss, aux = _gradients(update, params, collections, batches, progress, key)
                gradients, loss, aux = parallel.average((gradients, loss, aux))
                norms = {name: optax.tree.norm(gradients[name]) for name in update.learns}
                for name in update.learns:
                    params[name], opt_state[name] = apply_gradients(
                        optimizers[name], gradients[name], opt_state[name], params[name], rate=stage.rate_of(name)
                    )
                    scalars[f"gradient_norm/{name}"] = norms[name]
                collections |= aux.collections
                scalars |= aux.scalars
                for value in (loss, *norms.values()):  # a norm is finite only if all gradients are
                    finite &= jnp.isfinite(value)

        ema = dict(state.ema)
        for name in learning:
            n = (in_stage + trained[name]).astype(jnp.float32)
            decay = jnp.minimum(settings.ema_decay, (1.0 + n) / (10.0 + n))
            ema[name] = optax.incremental_update(params[name], ema[name], 1.0 - decay)
        bad_step = jnp.where(finite | (state.bad_step >= 0), state.bad_step, state.step)
        state = state.replace(
            step=state.step + 1,
            bad_step=bad_step,
            params=params,
            collections=collections,
            ema=ema,
            opt_state=opt_state,
        )
        return state, scalars

    return step


def _steps_before(recipe: Recipe, stage_index: int, network: str) -> int:
    """Returns the number of steps in which earlier stages train a network."""
    earlier = recipe.stages[:stage_index]
    return sum(stage.steps for stage in earlier if any(network in update.learns for update in stage.updates))


def scan_steps(step: parallel.Step, count: int) -> parallel.Step:
    """Wraps a step in `lax.scan` over `count` batches. Removes per-step dispatch overhead on GPU.

    Args:
        step: step from `build_step`.
        count: number of steps and length of the leading axis of the raw batches. With 1 the batches have no such axis,
            and the step itself is returned.

    Returns:
        `call(state, raw_batches) -> (state, means of the scalars)`.
    """
    if count == 1:
        return step
    # Convolutions in XLA's loops are slow on CPU.
    unroll = count if jax.default_backend() == "cpu" else 1

    def call(state: TrainState, raws: Tree) -> tuple[TrainState, dict[str, jax.Array]]:
        state, scalars = jax.lax.scan(step, state, raws, unroll=unroll)
        return state, jax.tree.map(lambda x: x.mean(axis=0), scalars)

    return call


def _gradients(
    update: Update, params: Tree, collections: Tree, batches: Tree, progress: jax.Array, key: jax.Array
) -> tuple[Tree, jax.Array, Aux]:
    """Returns gradients, loss and `Aux` of one update: means over micro-batches, which pass on their collections."""
    params, collections = parallel.varying((params, collections))
    learned = {name: params[name] for name in update.learns}
    replaced: set[str] = set()

    def loss(learned: Tree, collections: Tree, batch: Tree, key: jax.Array) -> tuple[jax.Array, Aux]:
        value, aux = update.loss({**params, **learned}, collections, {**batch, "progress": progress}, key)
        return value, Aux(dict(aux.scalars), dict(aux.collections))

    def micro_step(collections: Tree, x: tuple[Tree, jax.Array]) -> tuple[Tree, Any]:
        batch, index = x
        micro_key = jax.random.fold_in(key, index)
        if update.learns:
            differentiate = jax.value_and_grad(loss, has_aux=True)
            (value, aux), gradients = differentiate(learned, collections, batch, micro_key)
        else:
            (value, aux), gradients = loss(learned, collections, batch, micro_key), {}
        replaced.update(aux.collections)
        return {**collections, **aux.collections}, (gradients, value, aux.scalars)

    count = jax.tree.leaves(batches)[0].shape[0]
    if count == 1:
        only = jax.tree.map(lambda x: x[0], batches)
        collections, means = micro_step(collections, (only, jnp.zeros((), jnp.int32)))
    else:
        # Convolutions in XLA's loops are slow on CPU; elsewhere a loop keeps the program small.
        unroll = count if jax.default_backend() == "cpu" else 1
        collections, stacked = jax.lax.scan(micro_step, collections, (batches, jnp.arange(count)), unroll=unroll)
        means = jax.tree.map(lambda x: x.mean(axis=0), stacked)
    gradients, value, scalars = means
    # Only collections that the loss replaced, because averaging the others over devices could change their last bit.
    return gradients, value, Aux(scalars, {name: collections[name] for name in sorted(replaced)})
