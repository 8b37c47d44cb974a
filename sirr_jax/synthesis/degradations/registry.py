"""Degradations with severity levels, by name and by number."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from sirr_jax.errors import UserError, did_you_mean
from sirr_jax.synthesis.degradations import blur, compression, noise, patches, quantization, tone
from sirr_jax.synthesis.degradations.base import Degradation, check_image
from sirr_jax.synthesis.degradations.compression import jpeg_saved
from sirr_jax.synthesis.degradations.denoising import denoising

_RESAVE_QUALITY = 75
# Numbers of the kinds whose result is compressed already.
_NEVER_RESAVED = (10, 11)


class Kind(NamedTuple):
    """One kind of degradation.

    Attributes:
        number: type number in TID-2013.
        levels: number of levels; they count from 1.
        function: function that degrades an image.
    """

    number: int
    levels: int
    function: Degradation


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "gaussian_noise": Kind(1, 4, noise.gaussian_noise),
        "color_noise": Kind(2, 4, noise.color_noise),
        "high_frequency_noise": Kind(5, 4, noise.high_frequency_noise),
        "impulse_noise": Kind(6, 4, noise.impulse_noise),
        "quantization_noise": Kind(7, 4, quantization.quantization_noise),
        "gaussian_blur": Kind(8, 4, blur.gaussian_blur),
        "denoising": Kind(9, 4, denoising),
        "jpeg": Kind(10, 4, compression.jpeg),
        "jpeg2000": Kind(11, 4, compression.jpeg2000),
        "pattern_noise": Kind(14, 4, patches.pattern_noise),
        "local_blocks": Kind(15, 5, patches.local_blocks),
        "mean_shift": Kind(16, 4, tone.mean_shift),
        "contrast": Kind(17, 4, tone.contrast),
        "saturation": Kind(18, 4, tone.saturation),
        "multiplicative_noise": Kind(19, 4, noise.multiplicative_noise),
        "color_quantization": Kind(22, 5, quantization.color_quantization),
        "chromatic_aberration": Kind(23, 4, blur.chromatic_aberration),
    }
)
"""The seventeen kinds by name, in the order of their numbers (SR-Net specification, section 5.1)."""

_NAMES = MappingProxyType({kind.number: name for name, kind in KINDS.items()})


def degrade(
    image: np.ndarray, kind: str | int, *, level: int, generator: np.random.Generator, resave_jpeg: bool = False
) -> np.ndarray:
    """Degrades an image.

    Args:
        image: RGB image, uint8 [H, W, 3], of any size.
        kind: name in `KINDS`, or type number in TID-2013.
        level: severity from 1, the mildest, to `KINDS[kind].levels`.
        generator: source of randomness; the same state gives the same bytes.
        resave_jpeg: compress the result as JPEG of quality 75, 4:2:0, as the published training images were, unless
            the kind is a compression itself.

    Returns:
        uint8 [H, W, 3].

    Raises:
        UserError: The image has another type or shape, the kind or level does not exist, or the kind needs a package
            that is not installed.
    """
    check_image(image)
    name = _NAMES.get(kind) if isinstance(kind, (int, np.integer)) else kind
    if name is None or name not in KINDS:
        raise UserError(f"no degradation is called {kind!r}; {_hint(kind)}")
    entry = KINDS[name]
    degraded = entry.function(image, level, generator)
    if resave_jpeg and entry.number not in _NEVER_RESAVED:
        return jpeg_saved(degraded, quality=_RESAVE_QUALITY)
    return degraded


def _hint(kind: str | int) -> str:
    if isinstance(kind, (int, np.integer)):
        return f"known numbers: {', '.join(map(str, _NAMES))}"
    return did_you_mean(kind, KINDS, f"known names: {', '.join(KINDS)}")
