"""Generators of overlays that cover parts of an image: raindrops, watermarks, holes."""

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
        tiled: whether to cover the whole image.
        size: width of a logo in an image 1024 pixels wide; None for 800, or 100 if tiled.
        margin: minimum distance from the border, for the same image width.
        opacity: opacity in (0, 1).
        angle: rotation in degrees, counterclockwise.

    Raises:
        UserError: A value is out of range.
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
        width: range of the stroke width in pixels, on a canvas of 512 x 512.
        scale: range of the scale factor of the canvas.

    Raises:
        UserError: A value is out of range.
    """

    count: tuple[float, float] = (4.0, 2.0)
    width: tuple[float, float] = (5.0, 15.0)
    scale: tuple[float, float] = (1.0, 1.5)

    def __post_init__(self) -> None:
        freeze_numbers(self, "count", least=0.0, count=2)
        freeze_range(self, "width", least=0.0)
        freeze_range(self, "scale", least=1.0)


@GENERATORS.register("raindrops")
def raindrops(values: Mapping[str, Any]) -> SampleGenerator:
    """Returns the generator of photos through wet glass and masks of the drops.

    Args:
        values: fields of `RaindropOptions` that differ from the defaults.

    Raises:
        UserError: An option is unknown or its value is invalid.
    """
    options = options_of("raindrops", RaindropOptions, values)
    return SampleGenerator(
        1, partial(_raindrops, jax.jit(partial(render, options=options))), dataclasses.asdict(options)
    )


@GENERATORS.register("watermark")
def watermarks(values: Mapping[str, Any]) -> SampleGenerator:
    """Returns the generator of watermarked photos; the mask is the opacity of the watermark.

    Args:
        values: fields of `WatermarkOptions` that differ from the defaults.

    Raises:
        UserError: An option is unknown, its value is invalid, or the folder of logos is unusable.
    """
    options = options_of("watermark", WatermarkOptions, values)
    logos = None if options.logos is None else load_logos(options.logos)
    return SampleGenerator(1, partial(_watermark, options, logos), dataclasses.asdict(options))


@GENERATORS.register("irregular_mask")
def irregular_masks(values: Mapping[str, Any]) -> SampleGenerator:
    """Returns the generator of photos with holes in the shape of strokes; the mask is black in the holes.

    Args:
        values: fields of `IrregularMaskOptions` that differ from the defaults.

    Raises:
        UserError: An option is unknown or its value is invalid.
    """
    options = options_of("irregular_mask", IrregularMaskOptions, values)
    return SampleGenerator(1, partial(_irregular_mask, dataclasses.asdict(options)), dataclasses.asdict(options))


def _raindrops(
    render_drops: Callable[..., Any], seed: int, index: int, photographs: tuple[np.ndarray, ...]
) -> GeneratedSample:
    rainy = render_drops(prng_key(seed, index), jnp.asarray(photographs[0], jnp.float32) / 255.0)
    images = {"data": to_uint8(rainy.image), "gt": photographs[0], "mask": to_uint8(rainy.mask[..., 0])}
    return GeneratedSample(images, plain_numbers(rainy.parameters._asdict()), True)


def _watermark(
    options: WatermarkOptions,
    logos: dict[str, np.ndarray] | None,
    seed: int,
    index: int,
    photographs: tuple[np.ndarray, ...],
) -> GeneratedSample:
    (clean,) = photographs
    watermark = draw_watermark(
        numpy_generator("watermark", seed, index),
        *clean.shape[:2],
        logos=None if logos is None else list(logos.values()),
        tiled=options.tiled,
        size=options.size,
        margin=options.margin,
        opacity=options.opacity,
        angle=options.angle,
    )
    parameters = {
        "logo": "drawn" if logos is None or watermark.logo is None else list(logos)[watermark.logo],
        **plain_numbers({"gray": watermark.gray, "places": watermark.places, "size": watermark.size}),
    }
    return GeneratedSample(
        {"degraded": lay_over(clean, watermark), "clean": clean, "mask": watermark.pixels[..., 3]}, parameters, True
    )


def _irregular_mask(
    options: dict[str, Any], seed: int, index: int, photographs: tuple[np.ndarray, ...]
) -> GeneratedSample:
    (clean,) = photographs
    masked = irregular_mask(clean, numpy_generator("irregular_mask", seed, index), **options)
    mask = masked.mask[..., 0]
    images = {"degraded": masked.image, "clean": clean, "mask": 255 * mask}
    return GeneratedSample(images, {"hole_share": float(np.mean(mask == 0))}, True)
