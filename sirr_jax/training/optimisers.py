"""The optimiser of a network, from the config."""

from __future__ import annotations

from typing import Any

import jax
import optax
from ml_collections import ConfigDict

from sirr_jax.errors import UserError

_KINDS = ("adam", "rmsprop", "sgd")
_SCHEDULES = ("cosine", "constant")


def make_optimiser(config: ConfigDict, name: str, updates: int) -> optax.GradientTransformation:
    """Make one network's optimiser, with the schedule of its learning rate over all the updates that it gets.

    Args:
        config: `learning_rate`; `final_learning_rate` (where the cosine ends); `clip`, the largest global gradient norm
            (0 for none). Optional: `kind`, "adam" (default; `b1`, `b2`, `epsilon`), "rmsprop" as torch's (`decay`
            0.99, `epsilon` 1e-8 outside the root) or "sgd" (`momentum`, 0 by default); `schedule`, "cosine" (default)
            or "constant"; `networks.NAME`, the same values for one network alone.
        name: of the network.
        updates: number of updates over all stages.

    Raises:
        UserError: if there is no such kind or schedule.
    """
    own = {**config.to_dict(), **config.get("networks", {}).get(name, {})}
    kind, schedule = own.get("kind", "adam"), own.get("schedule", "cosine")
    if kind not in _KINDS:
        raise UserError(f"config.optimiser.kind is {kind!r}; choose one of {', '.join(_KINDS)}")
    if schedule not in _SCHEDULES:
        raise UserError(f"config.optimiser.schedule is {schedule!r}; choose one of {', '.join(_SCHEDULES)}")
    rate = own["learning_rate"]
    if schedule == "cosine":
        rate = optax.cosine_decay_schedule(rate, max(updates, 1), alpha=own["final_learning_rate"] / rate)
    epsilon = own.get("epsilon", 1e-8)
    if kind == "adam":
        optimiser = optax.adam(rate, b1=own["b1"], b2=own["b2"], eps=epsilon)
    elif kind == "rmsprop":
        optimiser = optax.rmsprop(rate, decay=own.get("decay", 0.99), eps=epsilon, eps_in_sqrt=False)
    else:
        optimiser = optax.sgd(rate, momentum=own.get("momentum", 0.0) or None)
    return optax.chain(optax.clip_by_global_norm(own["clip"]), optimiser) if own["clip"] > 0 else optimiser


def apply_gradients(
    optimiser: optax.GradientTransformation, gradients: Any, opt_state: Any, params: Any
) -> tuple[Any, Any]:
    """One optimiser step: `(params, opt_state)` after it."""
    # optax raises floats to integer powers, which strict promotion forbids.
    with jax.numpy_dtype_promotion("standard"):
        updates, opt_state = optimiser.update(gradients, opt_state, params)
        return optax.apply_updates(params, updates), opt_state
