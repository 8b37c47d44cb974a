"""How wide a network is: as published, narrower, or narrow for tests."""

from __future__ import annotations

from sirr_jax.errors import UserError

_DIVISORS = {"base": 1, "small": 4, "tiny": 16}


def scaled(channels: int, width: str) -> int:
    """`channels` of the published network at `width` "base", a quarter of them at "small", a sixteenth at "tiny".

    At least 2.

    Raises:
        UserError: if there is no such width.
    """
    if width not in _DIVISORS:
        raise UserError(f"there is no width {width!r}; choose one of {', '.join(_DIVISORS)}")
    return max(channels // _DIVISORS[width], 2)


def read_width(channels: int, published: int) -> str | None:
    """The width at which a layer published with `published` channels has `channels`; None if it is none of ours."""
    return next((width for width in _DIVISORS if scaled(published, width) == channels), None)
