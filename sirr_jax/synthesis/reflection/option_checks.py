"""Checks of the models' options: wrong values from a config file are told in one line."""

from __future__ import annotations

import math
from typing import Any

from sirr_jax.errors import UserError


def freeze_range(options: Any, name: str, *, least: float, most: float = math.inf) -> None:
    """Turns the range of a uniform draw into a hashable pair and checks it.

    Args:
        options: frozen dataclass, changed in place while it is being made.
        name: of the field.
        least: smallest value allowed.
        most: largest value allowed.

    Raises:
        UserError: if the field is not two numbers in order within those limits.
    """
    value = getattr(options, name)
    pair = _numbers(value)
    if pair is None or len(pair) != 2 or not least <= pair[0] <= pair[1] <= most:
        raise UserError(
            f"{type(options).__name__}: {name} is {value!r}: use two numbers {_limits(least, most)}, the lower first"
        )
    object.__setattr__(options, name, pair)


def freeze_numbers(options: Any, name: str, *, least: float, count: int | None = None) -> None:
    """Turns a list of numbers into a hashable tuple and checks it.

    Args:
        options: frozen dataclass, changed in place while it is being made.
        name: of the field.
        least: smallest value allowed.
        count: how many there must be; None for one or more.

    Raises:
        UserError: if the field is not that many numbers of at least `least`.
    """
    value = getattr(options, name)
    numbers = _numbers(value)
    if not numbers or not min(numbers) >= least or (count is not None and len(numbers) != count):
        many = "at least one number" if count is None else f"{count} numbers"
        raise UserError(f"{type(options).__name__}: {name} is {value!r}: use {many} of at least {least:g}")
    object.__setattr__(options, name, numbers)


def check_flag(options: Any, name: str) -> None:
    """Checks a switch.

    Args:
        options: dataclass.
        name: of the field.

    Raises:
        UserError: if the field is neither true nor false.
    """
    value = getattr(options, name)
    if not isinstance(value, bool):
        raise UserError(f"{type(options).__name__}: {name} is {value!r}: use true or false")


def freeze_probabilities(options: Any, name: str, *, count: int) -> None:
    """Turns a list of probabilities into a hashable tuple and checks it.

    Args:
        options: frozen dataclass, changed in place while it is being made.
        name: of the field.
        count: of the possibilities.

    Raises:
        UserError: if the field is not `count` numbers of at least 0 that sum to 1.
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
    """Checks a single number.

    Args:
        options: dataclass.
        name: of the field.
        least: smallest value allowed.
        most: largest value allowed.
        whole: whether it must be an integer.

    Raises:
        UserError: if the field is not a number within those limits.
    """
    value = getattr(options, name)
    if _numbers((value,)) is None or not least <= value <= most or (whole and not isinstance(value, int)):
        kind = "whole number" if whole else "number"
        raise UserError(f"{type(options).__name__}: {name} is {value!r}: use a {kind} {_limits(least, most)}")


def _limits(least: float, most: float) -> str:
    return f"of at least {least:g}" if math.isinf(most) else f"from {least:g} to {most:g}"


def _numbers(value: Any) -> tuple[float, ...] | None:
    if not isinstance(value, (list, tuple)):
        return None
    if any(isinstance(item, bool) or not isinstance(item, (int, float)) for item in value):
        return None
    return tuple(value)
