"""Widths of networks: as published, narrower, or narrow for tests."""

from __future__ import annotations

from sirr_jax.errors import UserError

_DIVISORS = {"base": 1, "small": 4, "tiny": 16}

WIDTHS = tuple(_DIVISORS)
"""Names of the widths, widest first."""


def scaled(channels: int, width: str) -> int:
    """Scales a number of channels to a width.

    Args:
        channels: channels of the published network.
        width: "base" (all channels), "small" (a quarter) or "tiny" (a sixteenth).

    Returns:
        Number of channels, at least 2.

    Raises:
        UserError: The width is unknown.
    """
    if width not in _DIVISORS:
        raise UserError(f"there is no width {width!r}; choose one of {', '.join(_DIVISORS)}")
    return max(channels // _DIVISORS[width], 2)


def read_width(channels: int, published: int) -> str | None:
    """Infers the width from the channels of a layer.

    Args:
        channels: channels of the layer.
        published: channels of the same layer in the published network.

    Returns:
        The width; None if no width has as many channels.
    """
    return next((width for width in _DIVISORS if scaled(published, width) == channels), None)
