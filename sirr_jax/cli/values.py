"""`NAME=VALUE` arguments."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sirr_jax.errors import UserError


def parse_values(flag: str, pairs: Sequence[str]) -> dict[str, Any]:
    """Parses `NAME=VALUE` arguments. A value that is valid JSON is read as JSON, any other as a string.

    Args:
        flag: flag of the arguments, for messages.
        pairs: `NAME=VALUE` strings.

    Returns:
        Name -> value.

    Raises:
        UserError: A pair has no value.
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
