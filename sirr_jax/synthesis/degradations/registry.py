"""Degradations with severity levels, by name and by number."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeVar

import numpy as np

from sirr_jax.errors import UserError
from sirr_jax.registry import Registry
from sirr_jax.synthesis.degradations.base import Degradation, check_image

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


KINDS: Registry[Kind] = Registry("degradation", "synthesis.degradations")
"""The seventeen kinds by name (SR-Net specification, section 5.1). The file of a degradation registers it."""

Function = TypeVar("Function", bound=Degradation)


def register_kind(name: str, *, number: int, levels: int = 4) -> Callable[[Function], Function]:
    """Returns a decorator that registers a degradation with severity levels.

    Args:
        name: name of the kind.
        number: type number in TID-2013.
        levels: number of levels; they count from 1.
    """

    def decorate(function: Function) -> Function:
        KINDS.add(name, Kind(number, levels, function))
        return function

    return decorate


def degrade(
    image: np.ndarray, kind: str | int, *, level: int, generator: np.random.Generator, resave_jpeg: bool = False
) -> np.ndarray:
    """Degrades an image.

    Args:
        image: RGB image, uint8 [H, W, 3], of any size.
        kind: name of a kind, one of `KINDS.names()`, or type number in TID-2013.
        level: severity from 1, the mildest, to the kind's number of levels.
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
    entry = _numbered(int(kind)) if isinstance(kind, (int, np.integer)) else KINDS.find(kind)
    degraded = entry.function(image, level, generator)
    if resave_jpeg and entry.number not in _NEVER_RESAVED:
        from sirr_jax.synthesis.degradations.compression import jpeg_saved  # it registers itself here

        return jpeg_saved(degraded, quality=_RESAVE_QUALITY)
    return degraded


def _numbered(number: int) -> Kind:
    kinds = {kind.number: kind for _, kind in KINDS.items()}
    if number not in kinds:
        known = ", ".join(map(str, sorted(kinds)))
        raise UserError(f"no degradation is called {number!r}; known numbers: {known}")
    return kinds[number]
