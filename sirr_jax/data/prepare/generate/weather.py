"""Makers of weather. Photographs have no depth map: one is made up for each sample, see `photograph_depth`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from sirr_jax.data.prepare.generate.base import GeneratedSample, SampleGenerator, generator_of, plain_numbers
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
        betas: attenuation coefficients per meter, one of which is chosen for each sample.
        refine: whether the transmittance follows the image's edges.

    Raises:
        UserError: if a value is impossible.
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
        strengths: settings (alpha, beta, drop size), one of which is chosen for each sample.

    Raises:
        UserError: if it is not a list of such triples of numbers of at least 0.
    """

    strengths: tuple[RainStrength, ...] = RAIN_STRENGTHS

    def __post_init__(self) -> None:
        given = self.strengths if isinstance(self.strengths, (list, tuple)) else ()
        triples = [triple for triple in given if isinstance(triple, (list, tuple)) and len(triple) == 3]
        numbers = [value for triple in triples for value in triple]
        if (
            not triples
            or len(triples) != len(given)
            or not all(isinstance(value, (int, float)) and value >= 0 for value in numbers)
        ):
            raise UserError(
                f"{type(self).__name__}: strengths is {self.strengths!r}: use a list of [alpha, beta, drop size], "
                "numbers of at least 0"
            )
        object.__setattr__(self, "strengths", tuple(RainStrength(*triple) for triple in triples))


def fogs(given: Mapping[str, Any]) -> SampleGenerator:
    """Makes foggy photographs.

    Args:
        given: fields of `FogOptions`.

    Raises:
        UserError: if an option or its value is unknown.
    """
    options = options_of("fog", FogOptions, given)
    return SampleGenerator(1, partial(_fog, options), dataclasses.asdict(options))


def rains(given: Mapping[str, Any]) -> SampleGenerator:
    """Makes rainy photographs.

    Args:
        given: fields of `RainOptions`.

    Raises:
        UserError: if an option or its value is unknown.
    """
    options = options_of("rain", RainOptions, given)
    plain = {"strengths": [strength._asdict() for strength in options.strengths]}
    return SampleGenerator(1, partial(_rain, options), plain)


def _fog(options: FogOptions, seed: int, index: int, photographs: tuple[np.ndarray, ...]) -> GeneratedSample:
    (clean,) = photographs
    generator = generator_of("fog", seed, index)
    depth = photograph_depth(generator, *clean.shape[:2])
    beta = options.betas[int(generator.integers(len(options.betas)))]
    made = fog(clean, generator, depth=depth, betas=(beta,), refine=options.refine)
    return GeneratedSample({"degraded": made, "clean": clean}, _said(clean, depth, beta=beta), True)


def _rain(options: RainOptions, seed: int, index: int, photographs: tuple[np.ndarray, ...]) -> GeneratedSample:
    (clean,) = photographs
    generator = generator_of("rain", seed, index)
    depth = photograph_depth(generator, *clean.shape[:2])
    strength = options.strengths[int(generator.integers(len(options.strengths)))]
    made = rain(clean, generator, depth=depth, strengths=(strength,))
    return GeneratedSample({"degraded": made, "clean": clean}, _said(clean, depth, **strength._asdict()), True)


def _said(clean: np.ndarray, depth: np.ndarray, **drawn: float) -> dict[str, Any]:
    measured = {"airlight": airlight(clean), "nearest": depth.min(), "farthest": depth.max()}
    return {"depth": "made up", **plain_numbers(drawn | measured)}
