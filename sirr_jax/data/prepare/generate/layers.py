"""Makers of mixtures: two photographs, one before and one behind glass."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sirr_jax.data.prepare.generate.base import (
    GeneratedSample,
    SampleGenerator,
    generator_of,
    in_bytes,
    key_of,
    plain_numbers,
)
from sirr_jax.errors import UserError
from sirr_jax.synthesis.degradations.window_reflection import FORMS, window_reflection
from sirr_jax.synthesis.options import options_of
from sirr_jax.synthesis.reflection import get_synthesis


@dataclasses.dataclass(frozen=True)
class WindowReflectionOptions:
    """Options of window reflections.

    Attributes:
        form: see `sirr_jax.synthesis.degradations.window_reflection`.

    Raises:
        UserError: if there is no such form.
    """

    form: str = "cityscapes"

    def __post_init__(self) -> None:
        if self.form not in FORMS:
            raise UserError(f"form is {self.form!r}: use one of {', '.join(FORMS)}")


def mixtures(kind: str, given: Mapping[str, Any]) -> SampleGenerator:
    """Makes mixtures by a model of `sirr_jax.synthesis.reflection`.

    Args:
        kind: one of `SYNTHESES`.
        given: fields of the model's options.

    Raises:
        UserError: if an option or its value is unknown.
    """
    synthesis = get_synthesis(kind)
    options = options_of(kind, synthesis.options, given)
    synthesize = jax.jit(partial(synthesis.synthesize, options=options))
    return SampleGenerator(2, partial(_mixture, synthesize), dataclasses.asdict(options))


def window_reflections(given: Mapping[str, Any]) -> SampleGenerator:
    """Makes SR-Net's window reflections: the degraded image, the clean one, and what the reflection adds.

    Args:
        given: fields of `WindowReflectionOptions`.

    Raises:
        UserError: if an option or its value is unknown.
    """
    options = options_of("window_reflection", WindowReflectionOptions, given)
    return SampleGenerator(2, partial(_window_reflection, options), dataclasses.asdict(options))


def _mixture(
    synthesize: Callable[..., Any], seed: int, index: int, photographs: tuple[np.ndarray, ...]
) -> GeneratedSample:
    transmission, reflection = (jnp.asarray(photograph, jnp.float32) / 255.0 for photograph in photographs)
    made = synthesize(key_of(seed, index), transmission, reflection)
    images = {
        "blended": in_bytes(made.mixture),
        "transmission_layer": in_bytes(made.transmission),
        "reflection_layer": in_bytes(made.reflection),
    }
    return GeneratedSample(images, plain_numbers(made.parameters), bool(made.kept))


def _window_reflection(
    options: WindowReflectionOptions, seed: int, index: int, photographs: tuple[np.ndarray, ...]
) -> GeneratedSample:
    made = window_reflection(*photographs, generator_of("window_reflection", seed, index), form=options.form)
    images = {"degraded": made.image, "clean": photographs[0], "reflection": made.reflection}
    return GeneratedSample(images, plain_numbers(made.parameters), True)
