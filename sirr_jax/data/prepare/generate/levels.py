"""Generators of degradations with severity levels."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from sirr_jax.data.prepare.generate.base import GeneratedSample, SampleGenerator, numpy_generator
from sirr_jax.data.prepare.generate.registry import GENERATORS
from sirr_jax.synthesis.degradations import KINDS, degrade
from sirr_jax.synthesis.degradations.base import at_level
from sirr_jax.synthesis.options import options_of
from sirr_jax.synthesis.reflection.option_checks import check_flag


@dataclasses.dataclass(frozen=True)
class LevelOptions:
    """Options of the degradations with levels.

    Attributes:
        level: severity level, 1 or more; None to draw 1 to 4 for each sample.
        resave_jpeg: whether to save the degraded image as JPEG, see `sirr_jax.synthesis.degradations.degrade`.

    Raises:
        UserError: `resave_jpeg` is neither true nor false.
    """

    level: int | None = None
    resave_jpeg: bool = False

    def __post_init__(self) -> None:
        check_flag(self, "resave_jpeg")


def degradations(kind: str, values: Mapping[str, Any]) -> SampleGenerator:
    """Returns the generator of one of `sirr_jax.synthesis.degradations.KINDS`.

    Args:
        kind: name of the degradation.
        values: fields of `LevelOptions` that differ from the defaults.

    Raises:
        UserError: An option is unknown or its value is invalid.
    """
    options = options_of(kind, LevelOptions, values)
    if options.level is not None:
        at_level(kind, range(1, KINDS[kind].levels + 1), options.level)
    return SampleGenerator(1, partial(_degraded, kind, options), dataclasses.asdict(options))


def _degraded(
    kind: str, options: LevelOptions, seed: int, index: int, photographs: tuple[np.ndarray, ...]
) -> GeneratedSample:
    generator = numpy_generator(kind, seed, index)
    level = int(generator.integers(1, 5)) if options.level is None else options.level
    degraded = degrade(photographs[0], kind, level=level, generator=generator, resave_jpeg=options.resave_jpeg)
    return GeneratedSample({"degraded": degraded, "clean": photographs[0]}, {"level": level}, True)


for _name in KINDS:
    GENERATORS.add(_name, partial(degradations, _name))
