"""JSON text that every reader accepts."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np


def to_json(value: Any, *, indent: int | None = None, sort_keys: bool = False) -> str:
    """Encodes a value. A number that is not finite becomes `null`: JSON has no NaN and no infinity.

    Args:
        value: dicts, lists, tuples, strings, numbers (also NumPy scalars), booleans and None, in any nesting.
        indent: spaces of one level; None for one line.
        sort_keys: whether to sort the keys of dicts.
    """
    return json.dumps(_plain(value), indent=indent, sort_keys=sort_keys, allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
