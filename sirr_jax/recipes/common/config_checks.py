"""Checks of config values, and small functions of a config that recipes share."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from sirr_jax.data.sources.synthetic_scenes import SCENE_CLASSES
from sirr_jax.errors import UserError
from sirr_jax.recipes.base import Start

DTYPES: Mapping[str, Any] = MappingProxyType({"float32": jnp.float32, "bfloat16": jnp.bfloat16})
"""Dtypes to compute in, by `config.compute_dtype`."""


def check_choice(config: ConfigDict, name: str, known: Collection[str]) -> None:
    """Checks that a value is one of those allowed.

    Args:
        config: config of the run.
        name: key, with dots for nested ones: "attention.target".
        known: allowed values.

    Raises:
        UserError: The value is not allowed.
    """
    value = _value(config, name)
    if value not in known:
        raise UserError(f"config.{name} is {value!r}; choose {' or '.join(known)}")


def check_crop(config: ConfigDict, *, multiple: int, least: int) -> None:
    """Checks that the networks can take crops of `config.data.crop` pixels.

    Args:
        config: config of the run.
        multiple: number of pixels that must divide the side.
        least: smallest side in pixels.

    Raises:
        UserError: The side is too small or no multiple.
    """
    crop = config.data.crop
    if crop % multiple or crop < least:
        expected = f"a multiple of {multiple}, at least {least}" if multiple > 1 else f"{least} or more"
        raise UserError(f"config.data.crop={crop}; choose {expected}")


def check_share(config: ConfigDict, name: str) -> None:
    """Checks that a value lies in [0, 1].

    Args:
        config: config of the run.
        name: key, with dots for nested ones.

    Raises:
        UserError: The value is outside [0, 1].
    """
    value = _value(config, name)
    if not 0.0 <= value <= 1.0:
        raise UserError(f"config.{name}={value}; choose a fraction between 0 and 1")


def check_steps(config: ConfigDict, *names: str) -> None:
    """Checks that numbers of steps or samples are not negative.

    Args:
        config: config of the run.
        *names: keys, with dots for nested ones; none for all of `config.steps`.

    Raises:
        UserError: A value is negative.
    """
    for name in names or [f"steps.{stage}" for stage in config.steps]:
        value = _value(config, name)
        if value < 0:
            raise UserError(f"config.{name}={value}; choose 0 or more")


def label_classes(config: ConfigDict) -> int:
    """Returns the number of classes of the labels: `config.data.classes`, or that of the procedural scenes.

    Args:
        config: config of the run.

    Raises:
        UserError: The config names a labelled set and not its number of classes.
    """
    classes = config.data.classes or (len(SCENE_CLASSES) if config.data.labelled == "scenes" else 0)
    if classes < 2:
        raise UserError(f"config.data.classes={classes}; give the number of classes of {config.data.labelled}")
    return classes


def freeze(*roles: str) -> Callable[[Start], Start]:
    """Makes the beginning of a stage that replaces parameters by their moving averages.

    Args:
        *roles: networks that the stage does not train; those without a moving average stay as they are.

    Returns:
        The value for `Stage.begin`.
    """

    def begin(start: Start) -> Start:
        averages = {role: jax.tree.map(jnp.copy, start.ema[role]) for role in roles if role in start.ema}
        return start._replace(params=start.params | averages)

    return begin


def _value(config: ConfigDict, name: str) -> Any:
    value: Any = config
    for part in name.split("."):
        value = value[part]
    return value
