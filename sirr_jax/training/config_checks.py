"""Checks of the config keys that all recipes share."""

from __future__ import annotations

from collections.abc import Sequence

from ml_collections import ConfigDict

from sirr_jax.errors import UserError
from sirr_jax.recipes.base import Stage

# With 0 here, checkpoints would be lost or a request to stop would go unnoticed.
_AT_LEAST_ONE = ("scan_steps", "grad_accum_steps", "log_every", "max_to_keep", "validation_samples")
_FROM_ZERO = ("eval_every", "log_images_every", "checkpoint_every")
_REAL = ("pairs", "sequences")


def check_training(config: ConfigDict, stages: Sequence[Stage]) -> None:
    """Checks numbers and real data sets before minutes of compiling.

    Args:
        config: config of any recipe.
        stages: stages of the recipe.

    Raises:
        UserError: A number is out of range, or a data set would not be used.
    """
    for names, least, expected in ((_AT_LEAST_ONE, 1, "1 or more"), (_FROM_ZERO, 0, "0 (never) or more")):
        for name in names:
            if config[name] < least:
                raise UserError(f"config.{name}={config[name]}: expected {expected}")
    if not 0.0 <= config.ema_decay < 1.0:
        raise UserError(f"config.ema_decay={config.ema_decay}: expected 0 or more and less than 1")
    if sum(stage.steps for stage in stages) < 1:
        raise UserError(f"the config asks for 0 training steps; set the steps of {config.recipe}'s stages")
    for kind in _REAL:
        _check_real(config, stages, kind)
    _check_scan_steps(config, stages)


def _check_real(config: ConfigDict, stages: Sequence[Stage], kind: str) -> None:
    option = f"config.data.{kind}"
    place, share = config.data.get(kind, ""), config.data.get(f"{kind}_share", 0.0)
    used = any(kind in stage.mix for stage in stages)
    if share > 0 and not used:
        raise UserError(f"{option}_share={share}, but no stage of {config.recipe} trains on real {kind}; set it to 0")
    if place and not used:
        raise UserError(
            f"{option}={place} is set but not used: {option}_share={share}; leave it empty, or choose a share above 0 "
            f"if {config.recipe} can train on it"
        )


def _check_scan_steps(config: ConfigDict, stages: Sequence[Stage]) -> None:
    count = config.scan_steps
    numbers = {f"the {stage.steps} steps of stage {stage.name}": stage.steps for stage in stages}
    for name in ("log_every", *_FROM_ZERO):
        numbers[f"config.{name}={config[name]}"] = config[name]
    for description, number in numbers.items():
        if number % count:
            raise UserError(
                f"config.scan_steps={count} does not divide {description}; change one of them, or set it to 1"
            )
