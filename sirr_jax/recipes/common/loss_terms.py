"""Sums of loss terms and their names in the log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import jax


def add_terms(terms: Mapping[str, jax.Array]) -> jax.Array:
    """Adds the terms of a loss, in their order.

    Args:
        terms: name -> scalar, one or more.

    Returns:
        The loss, a scalar.
    """
    return cast(jax.Array, sum(terms.values()))


def named_terms(network: str, terms: Mapping[str, jax.Array]) -> tuple[jax.Array, dict[str, jax.Array]]:
    """Adds the terms of a network's loss and names them for the log.

    Args:
        network: name of the network.
        terms: name -> scalar, one or more.

    Returns:
        The loss, and the scalars to log: `NETWORK/loss` and `NETWORK/TERM` of each term.
    """
    total = add_terms(terms)
    return total, {f"{network}/loss": total} | {f"{network}/{name}": value for name, value in terms.items()}
