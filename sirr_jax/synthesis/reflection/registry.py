"""The models by name."""

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
        options: its frozen dataclass of ranges; made without arguments, the published ones.
        synthesize: `synthesize(key, transmission, reflection, *, options) -> Mixture`, for one pair.
        recompose: `recompose(mixture, *, options) -> [H, W, 3]`, the mixture from what was returned alone.
    """

    options: type[Any]
    synthesize: Callable[..., Mixture]
    recompose: Callable[..., jax.Array]


_HOMES = {
    "ceilnet": Synthesis(ceilnet.CeilnetOptions, ceilnet.synthesize, ceilnet.recompose),
    "dsrnet": Synthesis(dsrnet.DsrnetOptions, dsrnet.synthesize, dsrnet.recompose),
    "zhang": Synthesis(zhang.ZhangOptions, zhang.synthesize, zhang.recompose),
    "wen": Synthesis(wen.WenOptions, wen.synthesize, wen.recompose),
    "bdn": Synthesis(bdn.BdnOptions, bdn.synthesize, bdn.recompose),
    "corrn": Synthesis(corrn.CorrnOptions, corrn.synthesize, corrn.recompose),
    "glass": Synthesis(glass.GlassOptions, glass.synthesize, glass.recompose),
}

SYNTHESES = tuple(_HOMES)
"""Names of the models, in the order of the benchmark specification, section 4."""


def synthesis_options(name: str, given: Mapping[str, Any]) -> Any:
    """Options of a model from plain values, as a config or a command line has them.

    Args:
        name: one of `SYNTHESES`.
        given: those that differ from the published ones; lists stand for tuples.

    Raises:
        UserError: if there is no such model or option, or a value is impossible.
    """
    return options_of(name, get_synthesis(name).options, given)


def get_synthesis(name: str) -> Synthesis:
    """Finds a model.

    Args:
        name: one of `SYNTHESES`.

    Returns:
        Its options and functions.

    Raises:
        UserError: if there is no such model.
    """
    if name not in _HOMES:
        hint = did_you_mean(name, SYNTHESES, f"known names: {', '.join(SYNTHESES)}")
        raise UserError(f"no synthesis is called {name!r}; {hint}")
    return _HOMES[name]
