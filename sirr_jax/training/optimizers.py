"""Optimizers and learning rate schedules from the config."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any

import jax
import optax
from ml_collections import ConfigDict

from sirr_jax.errors import UserError, did_you_mean

_SCHEDULES = ("cosine", "constant", "step")
_OWN_KEYS = (
    "name",
    "schedule",
    "learning_rate",
    "final_learning_rate",
    "step_size",
    "gamma",
    "clip",
    "b1",
    "b2",
    "eps",
    "momentum",
    "l2",
    "weight_decay",
    "lr_mults",
)
_GAMMA = 0.1  # default of torch's StepLR


def make_optimizer(config: ConfigDict, network: str, updates: int) -> optax.GradientTransformation:
    """Makes one network's optimizer, with the schedule of its learning rate over all its updates.

    Keys of the config:

    * `name`: name of an optimizer of optax ("adam", the default, "adamw", "sgd", "lion", ...); "rmsprop" has torch's
      defaults (`decay` 0.99, `eps` 1e-8 outside the root). Further keys are passed to it under optax's names
      (`momentum`, `decay`, `weight_decay`, ...).
    * `learning_rate`, `schedule`: "cosine" (default; from `learning_rate` to `final_learning_rate`), "constant", or
      "step" (times `gamma`, 0.1 by default, every `step_size` updates).
    * `clip`: largest global norm of the gradient; 0 for none.
    * `l2`: factor of an L2 penalty, added to the gradient (torch's `weight_decay` of SGD and Adam). `weight_decay` is
      decoupled, as in AdamW, and an error for optimizers without it.
    * `lr_mults`: pairs of a regular expression and a factor on the learning rate of the parameters whose path
      ("encoder/backbone/stem/kernel") matches from the start; 0 freezes them. The first match counts.
    * `networks.NAME`: the same keys for one network.

    Args:
        config: section `config.optimizer`.
        network: name of the network.
        updates: number of updates over all stages.

    Raises:
        UserError: There is no such optimizer, schedule or key, or a number is out of range.
    """
    common = config.to_dict()
    per_network = common.pop("networks", {})
    options = {"name": "adam", "schedule": "cosine", **common, **per_network.get(network, {})}
    constructor = _constructor(options["name"])
    passed = _passed(constructor, options, network)
    _check(options, network)
    rate = options["learning_rate"]
    if options["schedule"] == "cosine":
        rate = optax.cosine_decay_schedule(rate, max(updates, 1), alpha=options["final_learning_rate"] / rate)
    elif options["schedule"] == "step":
        rate = optax.exponential_decay(rate, options["step_size"], options.get("gamma", _GAMMA), staircase=True)
    optimizer = constructor(rate, **passed)
    before, after = [], []
    if options["clip"] > 0:
        before.append(optax.clip_by_global_norm(options["clip"]))
    if options.get("l2", 0.0) > 0:
        before.append(optax.add_decayed_weights(options["l2"]))
    if options.get("lr_mults"):
        after.append(_scale_by_path(tuple(options["lr_mults"])))
    return optax.chain(*before, optimizer, *after) if before or after else optimizer


def _rmsprop(learning_rate: Any, *, decay: float = 0.99, eps: float = 1e-8, **rest: Any) -> Any:
    """RMSprop as in torch: epsilon outside the root."""
    return optax.rmsprop(learning_rate, decay=decay, eps=eps, eps_in_sqrt=False, **rest)


def _constructor(name: str) -> Callable[..., optax.GradientTransformation]:
    if name == "rmsprop":
        return _rmsprop
    constructor = getattr(optax, name, None) if isinstance(name, str) and name.isidentifier() else None
    if not callable(constructor) or "learning_rate" not in _parameters(constructor):
        known = [known for known in dir(optax) if "learning_rate" in _parameters(getattr(optax, known))]
        raise UserError(
            f"config.optimizer.name is {name!r}; {did_you_mean(name, known, 'choose an optimizer of optax: adam, ...')}"
        )
    return constructor


def _parameters(function: Any) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(function).parameters if inspect.isfunction(function) else {}


def _passed(constructor: Callable[..., Any], options: Mapping[str, Any], network: str) -> dict[str, Any]:
    """Returns the keys to pass to the optimizer.

    `b1`, `b2`, `eps` and `momentum` may be set for all networks and are passed where the optimizer accepts them.
    """
    accepted = _parameters(optax.rmsprop if constructor is _rmsprop else constructor)
    passed = {}
    for name, value in options.items():
        if name in accepted and name != "learning_rate":
            passed[name] = value
        elif name == "weight_decay" and value:
            raise UserError(
                f"config.optimizer.weight_decay={value} of {network}: {options['name']} has no decoupled weight decay; "
                "set config.optimizer.l2 for an L2 penalty, or config.optimizer.name=adamw"
            )
        elif name not in _OWN_KEYS:
            known = sorted({*_OWN_KEYS, *accepted} - {"learning_rate"})
            raise UserError(
                f"config.optimizer has no {name!r}, given for {network}; "
                f"{did_you_mean(name, known, 'choose of ' + ', '.join(known))}"
            )
    return passed


def _check(options: Mapping[str, Any], network: str) -> None:
    rate, schedule = options["learning_rate"], options["schedule"]
    if schedule not in _SCHEDULES:
        raise UserError(f"config.optimizer.schedule is {schedule!r}; choose one of {', '.join(_SCHEDULES)}")
    if rate <= 0:
        raise UserError(f"config.optimizer.learning_rate={rate} of {network}: expected a number above 0")
    if schedule == "cosine" and not 0 <= options["final_learning_rate"] <= rate:
        last = options["final_learning_rate"]
        raise UserError(
            f"config.optimizer.final_learning_rate={last} of {network}: expected 0 to its learning_rate, {rate}, where "
            "the cosine begins"
        )
    if schedule == "step" and options.get("step_size", 0) < 1:
        raise UserError(f"config.optimizer.schedule='step' of {network} needs step_size, in updates: 1 or more")
    if options["clip"] < 0:
        raise UserError(f"config.optimizer.clip={options['clip']} of {network}: expected a norm above 0, or 0 for none")


def _scale_by_path(lr_mults: tuple[tuple[str, float], ...]) -> optax.GradientTransformation:
    def factor(path: tuple[Any, ...]) -> float:
        place = "/".join(key.key for key in path)
        return next((factor for pattern, factor in lr_mults if re.match(pattern, place)), 1.0)

    def scale(updates: Any, params: Any) -> Any:
        del params
        return jax.tree_util.tree_map_with_path(lambda path, update: factor(path) * update, updates)

    return optax.stateless(scale)


def apply_gradients(
    optimizer: optax.GradientTransformation, gradients: Any, opt_state: Any, params: Any, *, rate: float = 1.0
) -> tuple[Any, Any]:
    """Applies one optimizer step.

    Args:
        optimizer: optimizer from `make_optimizer`.
        gradients: tree of gradients with the structure of `params`.
        opt_state: state of the optimizer.
        params: parameters.
        rate: factor on the parameter change.

    Returns:
        `(params, opt_state)` after the step.
    """
    # optax raises floats to integer powers, which strict promotion forbids.
    with jax.numpy_dtype_promotion("standard"):
        updates, opt_state = optimizer.update(gradients, opt_state, params)
        if rate != 1.0:
            updates = jax.tree.map(lambda x: rate * x, updates)
        return optax.apply_updates(params, updates), opt_state
