"""Sample generators by kind."""

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
    **{name: partial(layers.mixtures, name) for name in SYNTHESES.names()},
    "window_reflection": layers.window_reflections,
    "raindrops": overlays.raindrops,
    "watermark": overlays.watermarks,
    "irregular_mask": overlays.irregular_masks,
    "fog": weather.fogs,
    "rain": weather.rains,
    **{name: partial(levels.degradations, name) for name in KINDS.names()},
}


def kinds() -> tuple[str, ...]:
    """Returns the kinds of `get_generator`: mixtures, overlays, weather, degradations with levels."""
    return tuple(_GENERATORS)


def get_generator(kind: str, values: Mapping[str, Any]) -> SampleGenerator:
    """Returns the generator of a kind of sample.

    Args:
        kind: one of `kinds()`.
        values: options that differ from the published ones: fields of the options class of the kind (in the modules of
            this package, `sirr_jax.synthesis.reflection` and `sirr_jax.synthesis.raindrops`).

    Raises:
        UserError: The kind or an option is unknown, or a value is invalid.
    """
    if kind in _GENERATORS:
        return _GENERATORS[kind](values)
    hint = did_you_mean(kind, kinds(), f"known kinds: {', '.join(kinds())}")
    raise UserError(f"unknown kind {kind!r} of generated samples; {hint}")
