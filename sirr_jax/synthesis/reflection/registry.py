"""Mixing models by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax

from sirr_jax.errors import UserError, did_you_mean
from sirr_jax.synthesis.options import options_of
from sirr_jax.synthesis.reflection import bdn, ceilnet, corrn, dsrnet, glass, wen, zhang
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


_MODELS = {
    "ceilnet": Synthesis(ceilnet.CeilnetOptions, ceilnet.synthesize, ceilnet.recompose),
    "dsrnet": Synthesis(dsrnet.DsrnetOptions, dsrnet.synthesize, dsrnet.recompose),
    "zhang": Synthesis(zhang.ZhangOptions, zhang.synthesize, zhang.recompose),
    "wen": Synthesis(wen.WenOptions, wen.synthesize, wen.recompose),
    "bdn": Synthesis(bdn.BdnOptions, bdn.synthesize, bdn.recompose),
    "corrn": Synthesis(corrn.CorrnOptions, corrn.synthesize, corrn.recompose),
    "glass": Synthesis(glass.GlassOptions, glass.synthesize, glass.recompose),
}

SYNTHESES = tuple(_MODELS)
"""Names of the models, in the order of the benchmark specification, section 4."""


def synthesis_options(name: str, values: Mapping[str, Any]) -> Any:
    """Builds the options of a model from the plain values of a config or a command line.

    Args:
        name: model name, one of `SYNTHESES`.
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
        name: model name, one of `SYNTHESES`.

    Returns:
        The options type and the functions of the model.

    Raises:
        UserError: The model does not exist.
    """
    if name not in _MODELS:
        hint = did_you_mean(name, SYNTHESES, f"known names: {', '.join(SYNTHESES)}")
        raise UserError(f"no synthesis is called {name!r}; {hint}")
    return _MODELS[name]
