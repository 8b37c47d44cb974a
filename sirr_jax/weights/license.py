"""Licenses of trained weights: those of the weights that they come from."""

from __future__ import annotations

import re
from collections.abc import Iterable

from sirr_jax.weights.model_file import Parent

USERS_OWN = "the user's"
"""License of weights that come from no others."""

_NON_COMMERCIAL = re.compile(r"\bNC\b|non-?\s?commercial|\bresearch (use )?only\b", re.IGNORECASE)


def is_non_commercial(license_: str) -> bool:
    """Returns whether a license forbids commercial use.

    Args:
        license_: license as a model file contains it, for example "CC-BY-NC-4.0".
    """
    return _NON_COMMERCIAL.search(license_) is not None


def derived_license(parents: Iterable[Parent]) -> str:
    """Returns the license of weights that come from others: it names all of theirs.

    Args:
        parents: weights that they come from.
    """
    names: dict[str, list[str]] = {}
    for parent in parents:
        license_ = parent.license or "none stated"
        if license_ != USERS_OWN and parent.name not in names.setdefault(license_, []):
            names[license_].append(parent.name)
    if not names:
        return USERS_OWN
    sources = "; ".join(f"{license_} (from {', '.join(listed)})" for license_, listed in names.items())
    own = "non-commercial, as the weights that it comes from" if any(map(is_non_commercial, names)) else USERS_OWN
    return f"{own}; {sources}"
