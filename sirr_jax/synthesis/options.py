"""Options of models and degradations from plain values, as a config file or a command line has them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from sirr_jax.errors import UserError


def options_of(kind: str, options_type: type[Any], given: Mapping[str, Any]) -> Any:
    """Makes the options of a kind.

    Args:
        kind: for the message.
        options_type: a dataclass that checks its values.
        given: fields that differ from the defaults; lists become tuples.

    Raises:
        UserError: if there is no such field, or its value is impossible.
    """
    known = [field.name for field in dataclasses.fields(options_type)]
    for name in given:
        if name not in known:
            raise UserError(f"{kind} has no option {name!r}; it takes {', '.join(known)}")
    return options_type(**{name: tuple(v) if isinstance(v, list) else v for name, v in given.items()})
