"""`NAME=VALUE` on the command line."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sirr_jax.errors import UserError


def parse_values(flag: str, pairs: Sequence[str]) -> dict[str, Any]:
    """Read values as JSON where they are JSON, else as text.

    Args:
        flag: that they were given to, for messages.
        pairs: `NAME=VALUE`.

    Raises:
        UserError: if a pair has no value.
    """
    values: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise UserError(f"{flag} {pair} has no value; write NAME=VALUE")
        try:
            values[name] = json.loads(value)
        except ValueError:
            values[name] = value
    return values
