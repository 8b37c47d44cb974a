"""Option ranges, and options dataclasses built from the plain values of a config file or a command line."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from sirr_jax.errors import UserError

Range = tuple[float, float]
"""Lower and upper end of a range."""


def options_of(name: str, options_type: type[Any], values: Mapping[str, Any]) -> Any:
    """Builds an options dataclass from plain values.

    Args:
        name: name of the model or degradation, for the error message.
        options_type: dataclass that checks its values.
        values: fields that differ from the defaults; lists become tuples.

    Returns:
        An instance of `options_type`.

    Raises:
        UserError: A field does not exist, or its value is out of range.
    """
    known = [field.name for field in dataclasses.fields(options_type)]
    for field_name in values:
        if field_name not in known:
            raise UserError(f"{name} has no option {field_name!r}; it takes {', '.join(known)}")
    return options_type(**{key: tuple(value) if isinstance(value, list) else value for key, value in values.items()})
