"""How wide a network is: as published, or narrow for tests."""

from __future__ import annotations

from sirr_jax.errors import UserError

_DIVISORS = {"base": 1, "test": 16}


def scaled(channels: int, width: str) -> int:
    """`channels` of the published network at `width` "base"; a sixteenth of it, but at least 2, at "test".

    Raises:
        UserError: if there is no such width.
    """
    if width not in _DIVISORS:
        raise UserError(f"there is no width {width!r}; choose one of {', '.join(_DIVISORS)}")
    return max(channels // _DIVISORS[width], 2)
