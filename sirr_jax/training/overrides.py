"""Checks of overridden config keys against the values that they replace."""

from __future__ import annotations

import math
from typing import Any

from ml_collections import ConfigDict

from sirr_jax.errors import UserError

# Lists of choices; other tuples of numbers are ranges, or one number for each of some things.
_ANY_LENGTH = ("data.degradations.levels",)


def check_overrides(config: ConfigDict, default: ConfigDict) -> None:
    """Checks the lengths of tuples, and that numbers are finite.

    Args:
        config: config with overrides.
        default: the same config without them.

    Raises:
        UserError: A tuple of numbers has another length or contains something else, or a number is not finite.
    """
    before, now = _flat(default), _flat(config)
    for name, value in now.items():
        expected = before.get(name)
        if value == expected:
            continue
        if isinstance(value, float) and not math.isfinite(value):
            raise UserError(f"--config.{name}={value}: expected a finite number")
        if not isinstance(value, tuple | list):
            continue
        if any(isinstance(number, float) and not math.isfinite(number) for number in value):
            raise UserError(f"--config.{name}={_text(value)}: expected finite numbers")
        if not isinstance(expected, tuple | list) or not expected or not all(map(_is_number, expected)):
            continue
        if not all(map(_is_number, value)):
            raise UserError(f"--config.{name}={_text(value)}: expected numbers, such as {_text(expected)}")
        if len(value) != len(expected) and name not in _ANY_LENGTH:
            raise UserError(
                f"--config.{name}={_text(value)} has length {len(value)}; expected {len(expected)} numbers, such "
                f"as {_text(expected)}"
            )


def _flat(config: ConfigDict, prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in config.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, ConfigDict) else {prefix + name: value}
    return flat


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _text(values: Any) -> str:
    return "(" + ",".join(map(str, values)) + ")"
