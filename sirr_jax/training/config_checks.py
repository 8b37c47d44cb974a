"""Checks of what every recipe's config says about its training."""

from __future__ import annotations

from collections.abc import Sequence

from ml_collections import ConfigDict

from sirr_jax.errors import UserError
from sirr_jax.recipes.base import Stage

# Numbers of which 0 would lose something: checkpoints, or the news that a run must stop.
_AT_LEAST_ONE = ("scan_steps", "grad_accum_steps", "log_every", "max_to_keep", "validation_samples")
_FROM_ZERO = ("eval_every", "log_images_every", "checkpoint_every")
_REAL = ("pairs", "sequences")


def check_training(config: ConfigDict, stages: Sequence[Stage]) -> None:
    """Refuse numbers that make no sense and real data that would not be used, before minutes of compiling.

    Args:
        config: of any recipe.
        stages: of the recipe made from it.

    Raises:
        UserError: naming the value.
    """
    for names, least, words in ((_AT_LEAST_ONE, 1, "1 or more"), (_FROM_ZERO, 0, "0 (never) or more")):
        for name in names:
            if config[name] < least:
                raise UserError(f"config.{name}={config[name]}: expected {words}")
    if not 0.0 <= config.ema_decay < 1.0:
        raise UserError(f"config.ema_decay={config.ema_decay}: expected 0 or more and less than 1")
    if sum(stage.steps for stage in stages) < 1:
        raise UserError(f"the config asks for 0 training steps; set the steps of {config.recipe}'s stages")
    for kind in _REAL:
        _check_real(config, stages, kind)
    _check_steps_per_call(config, stages)


def _check_real(config: ConfigDict, stages: Sequence[Stage], kind: str) -> None:
    option = f"config.data.{kind}"
    place, share = config.data.get(kind, ""), config.data.get(f"{kind}_share", 0.0)
    used = any(kind in stage.mix for stage in stages)
    if share > 0 and not used:
        raise UserError(f"{option}_share={share}, and no stage of {config.recipe} trains on real {kind}; set it to 0")
    if place and not used:
        raise UserError(
            f"{option}={place} is given and not used: {option}_share={share}; leave it out, or choose a share above 0 "
            f"where {config.recipe} can train on it"
        )


def _check_steps_per_call(config: ConfigDict, stages: Sequence[Stage]) -> None:
    count = config.scan_steps
    numbers = {f"the {stage.steps} steps of stage {stage.name}": stage.steps for stage in stages}
    for name in ("log_every", *_FROM_ZERO):
        numbers[f"config.{name}={config[name]}"] = config[name]
    for words, number in numbers.items():
        if number % count:
            raise UserError(f"config.scan_steps={count} does not divide {words}; change one of them, or set it to 1")
