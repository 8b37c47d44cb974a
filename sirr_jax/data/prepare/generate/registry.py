"""Sample generators by kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sirr_jax.data.prepare.generate.base import SampleGenerator
from sirr_jax.registry import Registry

GENERATORS: Registry[Callable[[Mapping[str, Any]], SampleGenerator]] = Registry(
    "kind of generated sample", "data.prepare.generate"
)
"""All kinds of generated samples: mixtures, overlays, weather, degradations with levels.

Each is a function from the options that differ from the published ones (fields of the options class of the kind, in
the modules of this package, `sirr_jax.synthesis.reflection` and `sirr_jax.synthesis.raindrops`) to the generator. It
raises `UserError` for an unknown option or an invalid value.
"""


def kinds() -> tuple[str, ...]:
    """Returns the kinds of `get_generator`, sorted."""
    return GENERATORS.names()


def get_generator(kind: str, values: Mapping[str, Any]) -> SampleGenerator:
    """Returns the generator of a kind of sample.

    Args:
        kind: one of `kinds()`.
        values: options that differ from the published ones, see `GENERATORS`.

    Raises:
        UserError: The kind or an option is unknown, or a value is invalid.
    """
    return GENERATORS.find(kind)(values)
