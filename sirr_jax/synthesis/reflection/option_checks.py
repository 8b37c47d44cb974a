"""Checks of option fields, with one-line messages for wrong values from a config file."""

from __future__ import annotations

import math
from typing import Any

from sirr_jax.errors import UserError


def freeze_range(options: Any, name: str, *, least: float, most: float = math.inf) -> None:
    """Checks a range and stores it as a hashable pair.

    Args:
        options: frozen dataclass under construction; changed in place.
        name: name of the field.
        least: smallest allowed value.
        most: largest allowed value.

    Raises:
        UserError: The field is not two ascending numbers within the limits.
    """
    value = getattr(options, name)
    pair = _numbers(value)
    if pair is None or len(pair) != 2 or not least <= pair[0] <= pair[1] <= most:
        raise UserError(
            f"{type(options).__name__}: {name} is {value!r}: use two numbers {_limits(least, most)}, the lower first"
        )
    object.__setattr__(options, name, pair)


def freeze_numbers(options: Any, name: str, *, least: float, count: int | None = None) -> None:
    """Checks a list of numbers and stores it as a hashable tuple.

    Args:
        options: frozen dataclass under construction; changed in place.
        name: name of the field.
        least: smallest allowed value.
        count: expected number of values; None for one or more.

    Raises:
        UserError: The field is not that many numbers of at least `least`.
    """
    value = getattr(options, name)
    numbers = _numbers(value)
    if not numbers or not min(numbers) >= least or (count is not None and len(numbers) != count):
        expected = "at least one number" if count is None else f"{count} numbers"
        raise UserError(f"{type(options).__name__}: {name} is {value!r}: use {expected} of at least {least:g}")
    object.__setattr__(options, name, numbers)


def check_flag(options: Any, name: str) -> None:
    """Checks a boolean field.

    Args:
        options: dataclass.
        name: name of the field.

    Raises:
        UserError: The field is not a boolean.
    """
    value = getattr(options, name)
    if not isinstance(value, bool):
        raise UserError(f"{type(options).__name__}: {name} is {value!r}: use true or false")


def freeze_probabilities(options: Any, name: str, *, count: int) -> None:
    """Checks a list of probabilities and stores it as a hashable tuple.

    Args:
        options: frozen dataclass under construction; changed in place.
        name: name of the field.
        count: number of possibilities.

    Raises:
        UserError: The field is not `count` numbers of at least 0 that sum to 1.
    """
    value = getattr(options, name)
    numbers = _numbers(value)
    if (
        numbers is None
        or len(numbers) != count
        or not min(numbers) >= 0.0
        or not math.isclose(sum(numbers), 1.0, abs_tol=1e-6)
    ):
        raise UserError(
            f"{type(options).__name__}: {name} is {value!r}: use {count} numbers of at least 0 that sum to 1"
        )
    object.__setattr__(options, name, numbers)


def check_number(options: Any, name: str, *, least: float, most: float = math.inf, whole: bool = False) -> None:
    """Checks a number.

    Args:
        options: dataclass.
        name: name of the field.
        least: smallest allowed value.
        most: largest allowed value.
        whole: accept integers only.

    Raises:
        UserError: The field is not a number within the limits.
    """
    value = getattr(options, name)
    if _numbers((value,)) is None or not least <= value <= most or (whole and not isinstance(value, int)):
        noun = "whole number" if whole else "number"
        raise UserError(f"{type(options).__name__}: {name} is {value!r}: use a {noun} {_limits(least, most)}")


def _limits(least: float, most: float) -> str:
    return f"of at least {least:g}" if math.isinf(most) else f"from {least:g} to {most:g}"


def _numbers(value: Any) -> tuple[float, ...] | None:
    if not isinstance(value, (list, tuple)):
        return None
    if any(isinstance(item, bool) or not isinstance(item, (int, float)) for item in value):
        return None
    return tuple(value)
