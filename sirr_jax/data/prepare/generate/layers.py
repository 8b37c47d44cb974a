"""Generators of mixtures of two photos: a transmission behind glass and a reflection in it."""

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
    numpy_generator,
    plain_numbers,
    prng_key,
    to_uint8,
)
from sirr_jax.data.prepare.generate.registry import GENERATORS
from sirr_jax.errors import UserError
from sirr_jax.synthesis.degradations.window_reflection import FORMS, window_reflection
from sirr_jax.synthesis.options import options_of
from sirr_jax.synthesis.reflection import SYNTHESES, get_synthesis


@dataclasses.dataclass(frozen=True)
class WindowReflectionOptions:
    """Options of window reflections.

    Attributes:
        form: mixing formula, see `sirr_jax.synthesis.degradations.window_reflection`.

    Raises:
        UserError: The form is unknown.
    """

    form: str = "cityscapes"

    def __post_init__(self) -> None:
        if self.form not in FORMS:
            raise UserError(f"form is {self.form!r}: use one of {', '.join(FORMS)}")


def mixtures(kind: str, values: Mapping[str, Any]) -> SampleGenerator:
    """Returns the generator of mixtures of a model of `sirr_jax.synthesis.reflection`.

    Args:
        kind: name of the model, one of `SYNTHESES`.
        values: options of the model that differ from the defaults.

    Raises:
        UserError: An option is unknown or its value is invalid.
    """
    synthesis = get_synthesis(kind)
    options = options_of(kind, synthesis.options, values)
    synthesize = jax.jit(partial(synthesis.synthesize, options=options))
    return SampleGenerator(2, partial(_mixture, synthesize), dataclasses.asdict(options))


@GENERATORS.register("window_reflection")
def window_reflections(values: Mapping[str, Any]) -> SampleGenerator:
    """Returns the generator of SR-Net's window reflections: degraded image, clean image and reflection.

    Args:
        values: fields of `WindowReflectionOptions` that differ from the defaults.

    Raises:
        UserError: An option is unknown or its value is invalid.
    """
    options = options_of("window_reflection", WindowReflectionOptions, values)
    return SampleGenerator(2, partial(_window_reflection, options), dataclasses.asdict(options))


def _mixture(
    synthesize: Callable[..., Any], seed: int, index: int, photographs: tuple[np.ndarray, ...]
) -> GeneratedSample:
    transmission, reflection = (jnp.asarray(photograph, jnp.float32) / 255.0 for photograph in photographs)
    mixture = synthesize(prng_key(seed, index), transmission, reflection)
    images = {
        "blended": to_uint8(mixture.mixture),
        "transmission_layer": to_uint8(mixture.transmission),
        "reflection_layer": to_uint8(mixture.reflection),
    }
    return GeneratedSample(images, plain_numbers(mixture.parameters), bool(mixture.kept))


def _window_reflection(
    options: WindowReflectionOptions, seed: int, index: int, photographs: tuple[np.ndarray, ...]
) -> GeneratedSample:
    background, reflection = photographs
    degraded = window_reflection(
        background, reflection, numpy_generator("window_reflection", seed, index), form=options.form
    )
    images = {"degraded": degraded.image, "clean": background, "reflection": degraded.reflection}
    return GeneratedSample(images, plain_numbers(degraded.parameters), True)


for _name in SYNTHESES:
    GENERATORS.add(_name, partial(mixtures, _name))
