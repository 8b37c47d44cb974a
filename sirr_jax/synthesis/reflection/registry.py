"""Mixing models by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax

from sirr_jax.registry import Registry
from sirr_jax.synthesis.options import options_of
from sirr_jax.synthesis.reflection.base import Mixture


class Synthesis(NamedTuple):
    """One model of how a reflection and a transmission mix.

    Attributes:
        options: frozen dataclass of ranges; its defaults are the published ones.
        synthesize: function for one pair, `synthesize(key, transmission, reflection, *, options) -> Mixture`.
        recompose: function that mixes returned layers again, `recompose(mixture, *, options) -> [H, W, 3]`.
    """

    options: type[Any]
    synthesize: Callable[..., Mixture]
    recompose: Callable[..., jax.Array]


SYNTHESES: Registry[Synthesis] = Registry("synthesis", "synthesis.reflection")
"""All mixing models by name. The file of a model registers it."""


def synthesis_options(name: str, values: Mapping[str, Any]) -> Any:
    """Builds the options of a model from the plain values of a config or a command line.

    Args:
        name: model name, one of `SYNTHESES.names()`.
        values: fields that differ from the published ones; lists become tuples.

    Returns:
        The options dataclass of the model.

    Raises:
        UserError: The model or an option does not exist, or a value is out of range.
    """
    return options_of(name, get_synthesis(name).options, values)


def get_synthesis(name: str) -> Synthesis:
    """Returns the model of a name.

    Args:
        name: model name, one of `SYNTHESES.names()`.

    Returns:
        The options type and the functions of the model.

    Raises:
        UserError: The model does not exist.
    """
    return SYNTHESES.find(name)
