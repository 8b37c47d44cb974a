"""Widths of the dynamics networks."""

from __future__ import annotations

from typing import NamedTuple

from sirr_jax.errors import UserError


class Widths(NamedTuple):
    """Channels at full, half and quarter resolution."""

    full: int
    half: int
    quarter: int


WIDTHS = {
    "base": Widths(64, 96, 128),  # teacher 9.70 M parameters, student 6.05 M
    "medium": Widths(32, 48, 80),  # 3.70 M, 2.21 M: with a hypercolumn, the largest that fits 8 MB in half precision
    "small": Widths(32, 48, 64),  # 2.50 M, 1.52 M
    "compact": Widths(16, 24, 32),  # 0.66 M, 0.38 M: trained in hours on a CPU
    "tiny": Widths(8, 12, 16),  # 0.186 M, 0.096 M
}


def widths(name: str) -> Widths:
    """Returns the channels of a width.

    Raises:
        UserError: The width is unknown.
    """
    if name not in WIDTHS:
        raise UserError(f"there is no width {name!r}; choose one of {', '.join(WIDTHS)}")
    return WIDTHS[name]
