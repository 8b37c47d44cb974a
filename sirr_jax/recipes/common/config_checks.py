"""Checks of a config and small pieces that recipes share."""

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
"""Types to compute in, by `config.compute_dtype`."""


def check_choice(config: ConfigDict, name: str, known: Collection[str]) -> None:
    """Refuse a value that is none of those known; `name` may have dots: "attention.target".

    Raises:
        UserError: naming the value and those to choose from.
    """
    value = _value(config, name)
    if value not in known:
        raise UserError(f"config.{name} is {value!r}; choose {' or '.join(known)}")


def check_crop(config: ConfigDict, *, multiple: int, least: int) -> None:
    """Refuse crops that the networks cannot take.

    Raises:
        UserError: if `config.data.crop` is smaller than `least` or no multiple of `multiple` pixels.
    """
    crop = config.data.crop
    if crop % multiple or crop < least:
        wanted = f"a multiple of {multiple} from {least} on" if multiple > 1 else f"{least} or more"
        raise UserError(f"config.data.crop={crop}; choose {wanted}")


def check_share(config: ConfigDict, name: str) -> None:
    """Refuse a share outside 0 to 1; `name` as for `check_choice`.

    Raises:
        UserError: naming the value.
    """
    value = _value(config, name)
    if not 0.0 <= value <= 1.0:
        raise UserError(f"config.{name}={value}; choose a share between 0 and 1")


def check_steps(config: ConfigDict, *names: str) -> None:
    """Refuse negative numbers of steps or samples; `names` as for `check_choice`, or all of `config.steps`.

    Raises:
        UserError: naming the value.
    """
    for name in names or [f"steps.{stage}" for stage in config.steps]:
        value = _value(config, name)
        if value < 0:
            raise UserError(f"config.{name}={value}; choose 0 or more")


def label_classes(config: ConfigDict) -> int:
    """Number of classes of the labels: `config.data.classes`, or what procedural scenes have.

    Raises:
        UserError: if a labelled set is given without its number of classes.
    """
    stated = config.data.classes or (len(SCENE_CLASSES) if config.data.labelled == "scenes" else 0)
    if stated < 2:
        raise UserError(f"config.data.classes={stated}; give the number of classes of {config.data.labelled}")
    return stated


def freeze(*roles: str) -> Callable[[Start], Start]:
    """A stage's beginning: from here on these networks are their moving averages, as far as they learned, and stay."""

    def begin(start: Start) -> Start:
        frozen = {role: jax.tree.map(jnp.copy, start.ema[role]) for role in roles if role in start.ema}
        return start._replace(params=start.params | frozen)

    return begin


def _value(config: ConfigDict, name: str) -> Any:
    value: Any = config
    for part in name.split("."):
        value = value[part]
    return value
