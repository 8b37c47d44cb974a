"""The optimiser of a network, from the config."""

from __future__ import annotations

import re
from typing import Any

import jax
import optax
from ml_collections import ConfigDict

from sirr_jax.errors import UserError

_KINDS = ("adam", "rmsprop", "sgd")
_SCHEDULES = ("cosine", "constant", "halving")
_NAMES = ("kind", "schedule", "learning_rate", "final_learning_rate", "halve_every", "clip", "b1", "b2", "epsilon")
_NAMES += ("decay", "momentum", "weight_decay", "rates")


def make_optimiser(config: ConfigDict, name: str, updates: int) -> optax.GradientTransformation:
    """Make one network's optimiser, with the schedule of its learning rate over all the updates that it gets.

    Args:
        config: `learning_rate`; `final_learning_rate` (where the cosine ends); `clip`, the largest global gradient norm
            (0 for none). Optional: `kind`, "adam" (default; `b1`, `b2`, `epsilon`), "rmsprop" as torch's (`decay`
            0.99, `epsilon` 1e-8 outside the root) or "sgd" (`momentum`, 0 by default); `weight_decay`, added to the
            gradients (L2); `schedule`, "cosine" (default), "constant" or "halving" (every `halve_every` updates);
            `rates`, pairs of a regular expression and a factor: parameters whose path ("encoder/backbone/stem/kernel")
            it matches from the start learn that much faster or slower, with 0 not at all; the first match counts;
            `networks.NAME`, the same values for one network alone.
        name: of the network.
        updates: number of updates over all stages.

    Raises:
        UserError: if there is no such kind, schedule or option, or a number makes no sense.
    """
    common = config.to_dict()
    of_networks = common.pop("networks", {})
    own = {**common, **of_networks.get(name, {})}
    _check(own, name)
    kind, schedule = own.get("kind", "adam"), own.get("schedule", "cosine")
    rate = own["learning_rate"]
    if schedule == "cosine":
        rate = optax.cosine_decay_schedule(rate, max(updates, 1), alpha=own["final_learning_rate"] / rate)
    elif schedule == "halving":
        rate = optax.exponential_decay(rate, own["halve_every"], 0.5, staircase=True)
    epsilon = own.get("epsilon", 1e-8)
    if kind == "adam":
        optimiser = optax.adam(rate, b1=own["b1"], b2=own["b2"], eps=epsilon)
    elif kind == "rmsprop":
        optimiser = optax.rmsprop(rate, decay=own.get("decay", 0.99), eps=epsilon, eps_in_sqrt=False)
    else:
        optimiser = optax.sgd(rate, momentum=own.get("momentum", 0.0) or None)
    before, after = [], []
    if own["clip"] > 0:
        before.append(optax.clip_by_global_norm(own["clip"]))
    if own.get("weight_decay", 0.0) > 0:
        before.append(optax.add_decayed_weights(own["weight_decay"]))
    if own.get("rates"):
        after.append(_scale_by_path(tuple(own["rates"])))
    return optax.chain(*before, optimiser, *after) if before or after else optimiser


def _check(own: dict[str, Any], network: str) -> None:
    for name, known in (("kind", _KINDS), ("schedule", _SCHEDULES)):
        value = own.get(name, known[0])
        if value not in known:
            raise UserError(f"config.optimiser.{name} is {value!r}; choose one of {', '.join(known)}")
    for name in own:
        if name not in _NAMES:
            raise UserError(f"config.optimiser has no {name!r}, given for {network}; choose of {', '.join(_NAMES)}")
    rate, schedule = own["learning_rate"], own.get("schedule", "cosine")
    if rate <= 0:
        raise UserError(f"config.optimiser.learning_rate={rate} of {network}: expected a number above 0")
    if schedule == "cosine" and not 0 <= own["final_learning_rate"] <= rate:
        last = own["final_learning_rate"]
        raise UserError(
            f"config.optimiser.final_learning_rate={last} of {network}: expected 0 to its learning_rate, {rate}, where "
            "the cosine begins"
        )
    if schedule == "halving" and own.get("halve_every", 0) < 1:
        raise UserError(f"config.optimiser.schedule='halving' of {network} needs halve_every, in updates: 1 or more")
    if own["clip"] < 0:
        raise UserError(f"config.optimiser.clip={own['clip']} of {network}: expected a norm above 0, or 0 for none")


def _scale_by_path(rates: tuple[tuple[str, float], ...]) -> optax.GradientTransformation:
    def factor(path: tuple[Any, ...]) -> float:
        place = "/".join(key.key for key in path)
        return next((factor for pattern, factor in rates if re.match(pattern, place)), 1.0)

    def scale(updates: Any, params: Any) -> Any:
        del params
        return jax.tree_util.tree_map_with_path(lambda path, update: factor(path) * update, updates)

    return optax.stateless(scale)


def apply_gradients(
    optimiser: optax.GradientTransformation, gradients: Any, opt_state: Any, params: Any, *, rate: float = 1.0
) -> tuple[Any, Any]:
    """One optimiser step, `rate` times as long: `(params, opt_state)` after it."""
    # optax raises floats to integer powers, which strict promotion forbids.
    with jax.numpy_dtype_promotion("standard"):
        updates, opt_state = optimiser.update(gradients, opt_state, params)
        if rate != 1.0:
            updates = jax.tree.map(lambda x: rate * x, updates)
        return optax.apply_updates(params, updates), opt_state
