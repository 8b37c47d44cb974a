"""Makers of what covers parts of an image: raindrops, watermarks, holes."""

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
from sirr_jax.synthesis.degradations.irregular_mask import irregular_mask
from sirr_jax.synthesis.degradations.logos import load_logos
from sirr_jax.synthesis.degradations.watermark import REFERENCE_WIDTH, draw_watermark, lay_over
from sirr_jax.synthesis.options import options_of
from sirr_jax.synthesis.raindrops import RaindropOptions, render
from sirr_jax.synthesis.reflection.option_checks import check_flag, check_number, freeze_numbers, freeze_range


@dataclasses.dataclass(frozen=True)
class WatermarkOptions:
    """Options of watermarks; see `sirr_jax.synthesis.degradations.watermark.draw_watermark`.

    Attributes:
        logos: folder of `.png` files; None to draw a logo for each sample.
        tiled: cover the whole image.
        size: width of a logo in an image 1024 pixels wide; None: 800, or 100 if tiled.
        margin: least distance from the border, for the same width.
        opacity: above 0 and below 1.
        angle: degrees, counter-clockwise.

    Raises:
        UserError: if a value is outside what is stated above.
    """

    logos: str | None = None
    tiled: bool = False
    size: int | None = None
    margin: int = 80
    opacity: float = 0.98
    angle: float = 10.0

    def __post_init__(self) -> None:
        if self.logos is not None and not isinstance(self.logos, str):
            raise UserError(f"{type(self).__name__}: logos is {self.logos!r}: use the path of a folder of .png files")
        check_flag(self, "tiled")
        check_number(self, "margin", least=0, most=(REFERENCE_WIDTH - 1) // 2, whole=True)
        if self.size is not None:
            check_number(self, "size", least=1, most=REFERENCE_WIDTH - 2 * self.margin, whole=True)
        check_number(self, "opacity", least=0.001, most=0.999)
        check_number(self, "angle", least=-360.0, most=360.0)


@dataclasses.dataclass(frozen=True)
class IrregularMaskOptions:
    """Options of irregular masks; see `sirr_jax.synthesis.degradations.irregular_mask.draw_irregular_mask`.

    Attributes:
        count: mean and standard deviation of the number of strokes.
        width: of a stroke, pixels of a canvas of 512 x 512.
        scale: enlargement of the canvas.

    Raises:
        UserError: if a value is impossible.
    """

    count: tuple[float, float] = (4.0, 2.0)
    width: tuple[float, float] = (5.0, 15.0)
    scale: tuple[float, float] = (1.0, 1.5)

    def __post_init__(self) -> None:
        freeze_numbers(self, "count", least=0.0, count=2)
        freeze_range(self, "width", least=0.0)
        freeze_range(self, "scale", least=1.0)


def raindrops(given: Mapping[str, Any]) -> SampleGenerator:
    """Makes photographs through wet panes, and the masks of the drops.

    Args:
        given: fields of `RaindropOptions`.

    Raises:
        UserError: if an option or its value is unknown.
    """
    options = options_of("raindrops", RaindropOptions, given)
    return SampleGenerator(
        1, partial(_raindrops, jax.jit(partial(render, options=options))), dataclasses.asdict(options)
    )


def watermarks(given: Mapping[str, Any]) -> SampleGenerator:
    """Makes watermarked photographs; their masks are the watermarks' opacity.

    Args:
        given: fields of `WatermarkOptions`.

    Raises:
        UserError: if an option or its value is unknown, or the folder of logos cannot be used.
    """
    options = options_of("watermark", WatermarkOptions, given)
    logos = None if options.logos is None else load_logos(options.logos)
    return SampleGenerator(1, partial(_watermark, options, logos), dataclasses.asdict(options))


def irregular_masks(given: Mapping[str, Any]) -> SampleGenerator:
    """Makes photographs with strokes cut out; their masks are black in the holes.

    Args:
        given: fields of `IrregularMaskOptions`.

    Raises:
        UserError: if an option or its value is unknown.
    """
    options = options_of("irregular_mask", IrregularMaskOptions, given)
    return SampleGenerator(1, partial(_irregular_mask, dataclasses.asdict(options)), dataclasses.asdict(options))


def _raindrops(
    drops: Callable[..., Any], seed: int, index: int, photographs: tuple[np.ndarray, ...]
) -> GeneratedSample:
    made = drops(key_of(seed, index), jnp.asarray(photographs[0], jnp.float32) / 255.0)
    images = {"data": in_bytes(made.image), "gt": photographs[0], "mask": in_bytes(made.mask[..., 0])}
    return GeneratedSample(images, plain_numbers(made.parameters._asdict()), True)


def _watermark(
    options: WatermarkOptions,
    logos: dict[str, np.ndarray] | None,
    seed: int,
    index: int,
    photographs: tuple[np.ndarray, ...],
) -> GeneratedSample:
    (clean,) = photographs
    layer = draw_watermark(
        generator_of("watermark", seed, index),
        *clean.shape[:2],
        logos=None if logos is None else list(logos.values()),
        tiled=options.tiled,
        size=options.size,
        margin=options.margin,
        opacity=options.opacity,
        angle=options.angle,
    )
    parameters = {
        "logo": "drawn" if logos is None else list(logos)[layer.logo],
        **plain_numbers({"gray": layer.gray, "places": layer.places, "size": layer.size}),
    }
    return GeneratedSample(
        {"degraded": lay_over(clean, layer), "clean": clean, "mask": layer.pixels[..., 3]}, parameters, True
    )


def _irregular_mask(
    options: dict[str, Any], seed: int, index: int, photographs: tuple[np.ndarray, ...]
) -> GeneratedSample:
    (clean,) = photographs
    made = irregular_mask(clean, generator_of("irregular_mask", seed, index), **options)
    mask = made.mask[..., 0]
    images = {"degraded": made.image, "clean": clean, "mask": 255 * mask}
    return GeneratedSample(images, {"hole_share": float(np.mean(mask == 0))}, True)
