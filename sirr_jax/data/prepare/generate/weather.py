"""Generators of weather. Photos have no depth map, so one is generated for each sample, see `photograph_depth`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from sirr_jax.data.prepare.generate.base import GeneratedSample, SampleGenerator, numpy_generator, plain_numbers
from sirr_jax.data.prepare.generate.registry import GENERATORS
from sirr_jax.errors import UserError
from sirr_jax.synthesis.degradations.depth import photograph_depth
from sirr_jax.synthesis.degradations.fog import BETAS, airlight, fog
from sirr_jax.synthesis.degradations.rain import RAIN_STRENGTHS, RainStrength, rain
from sirr_jax.synthesis.options import options_of
from sirr_jax.synthesis.reflection.option_checks import check_flag, freeze_numbers


@dataclasses.dataclass(frozen=True)
class FogOptions:
    """Options of fog; see `sirr_jax.synthesis.degradations.fog`.

    Attributes:
        betas: attenuation coefficients per meter; one is chosen for each sample.
        refine: whether the transmittance follows the edges of the image.

    Raises:
        UserError: A value is out of range.
    """

    betas: tuple[float, ...] = BETAS
    refine: bool = True

    def __post_init__(self) -> None:
        freeze_numbers(self, "betas", least=0.0)
        check_flag(self, "refine")


@dataclasses.dataclass(frozen=True)
class RainOptions:
    """Options of rain; see `sirr_jax.synthesis.degradations.rain`.

    Attributes:
        strengths: settings (alpha, beta, drop size); one is chosen for each sample.

    Raises:
        UserError: `strengths` is not a list of triples of numbers of at least 0.
    """

    strengths: tuple[RainStrength, ...] = RAIN_STRENGTHS

    def __post_init__(self) -> None:
        entries = self.strengths if isinstance(self.strengths, (list, tuple)) else ()
        triples = [triple for triple in entries if isinstance(triple, (list, tuple)) and len(triple) == 3]
        numbers = [value for triple in triples for value in triple]
        if (
            not triples
            or len(triples) != len(entries)
            or not all(isinstance(value, (int, float)) and value >= 0 for value in numbers)
        ):
            raise UserError(
                f"{type(self).__name__}: strengths is {self.strengths!r}: use a list of [alpha, beta, drop size], "
                "numbers of at least 0"
            )
        object.__setattr__(self, "strengths", tuple(RainStrength(*triple) for triple in triples))


@GENERATORS.register("fog")
def fogs(values: Mapping[str, Any]) -> SampleGenerator:
    """Returns the generator of foggy photos.

    Args:
        values: fields of `FogOptions` that differ from the defaults.

    Raises:
        UserError: An option is unknown or its value is invalid.
    """
    options = options_of("fog", FogOptions, values)
    return SampleGenerator(1, partial(_fog, options), dataclasses.asdict(options))


@GENERATORS.register("rain")
def rains(values: Mapping[str, Any]) -> SampleGenerator:
    """Returns the generator of rainy photos.

    Args:
        values: fields of `RainOptions` that differ from the defaults.

    Raises:
        UserError: An option is unknown or its value is invalid.
    """
    options = options_of("rain", RainOptions, values)
    plain = {"strengths": [strength._asdict() for strength in options.strengths]}
    return SampleGenerator(1, partial(_rain, options), plain)


def _fog(options: FogOptions, seed: int, index: int, photographs: tuple[np.ndarray, ...]) -> GeneratedSample:
    (clean,) = photographs
    generator = numpy_generator("fog", seed, index)
    depth = photograph_depth(generator, *clean.shape[:2])
    beta = options.betas[int(generator.integers(len(options.betas)))]
    foggy = fog(clean, generator, depth=depth, betas=(beta,), refine=options.refine)
    return GeneratedSample({"degraded": foggy, "clean": clean}, _parameters(clean, depth, beta=beta), True)


def _rain(options: RainOptions, seed: int, index: int, photographs: tuple[np.ndarray, ...]) -> GeneratedSample:
    (clean,) = photographs
    generator = numpy_generator("rain", seed, index)
    depth = photograph_depth(generator, *clean.shape[:2])
    strength = options.strengths[int(generator.integers(len(options.strengths)))]
    rainy = rain(clean, generator, depth=depth, strengths=(strength,))
    return GeneratedSample({"degraded": rainy, "clean": clean}, _parameters(clean, depth, **strength._asdict()), True)


def _parameters(clean: np.ndarray, depth: np.ndarray, **drawn: float) -> dict[str, Any]:
    measured = {"airlight": airlight(clean), "nearest": depth.min(), "farthest": depth.max()}
    return {"depth": "made up", **plain_numbers(drawn | measured)}
