"""Makers by the name of their kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from sirr_jax.data.prepare.generate import layers, levels, overlays, weather
from sirr_jax.data.prepare.generate.base import SampleGenerator
from sirr_jax.errors import UserError, did_you_mean
from sirr_jax.synthesis.degradations import KINDS
from sirr_jax.synthesis.reflection import SYNTHESES

_GENERATORS: dict[str, Callable[[Mapping[str, Any]], SampleGenerator]] = {
    **{name: partial(layers.mixtures, name) for name in SYNTHESES},
    "window_reflection": layers.window_reflections,
    "raindrops": overlays.raindrops,
    "watermark": overlays.watermarks,
    "irregular_mask": overlays.irregular_masks,
    "fog": weather.fogs,
    "rain": weather.rains,
    **{name: partial(levels.degradations, name) for name in KINDS},
}


def kinds() -> tuple[str, ...]:
    """The kinds that `get_generator` knows: mixtures, what covers an image, weather, degradations of a level."""
    return tuple(_GENERATORS)


def get_generator(kind: str, given: Mapping[str, Any]) -> SampleGenerator:
    """Find out how to make samples of a kind.

    Args:
        kind: one of `kinds()`.
        given: options that differ from the published ones, fields of the kind's class of options (in the modules of
            this package, `sirr_jax.synthesis.reflection` and `sirr_jax.synthesis.raindrops`).

    Raises:
        UserError: if the kind, an option or its value is unknown.
    """
    if kind in _GENERATORS:
        return _GENERATORS[kind](given)
    hint = did_you_mean(kind, kinds(), f"known kinds: {', '.join(kinds())}")
    raise UserError(f"nothing of kind {kind!r} can be made; {hint}")
