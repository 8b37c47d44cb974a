"""Random degradations of images on the host (SR-Net specification, sections 4 and 5)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import MappingProxyType
from typing import cast

import numpy as np

from sirr_jax.errors import UserError, did_you_mean
from sirr_jax.synthesis.degradations import KINDS, degrade
from sirr_jax.synthesis.degradations.base import at_level
from sirr_jax.synthesis.degradations.fog import fog
from sirr_jax.synthesis.degradations.irregular_mask import irregular_mask
from sirr_jax.synthesis.degradations.rain import rain
from sirr_jax.synthesis.degradations.watermark import watermark
from sirr_jax.synthesis.degradations.window_reflection import window_reflection

REGULAR_KINDS = (
    "watermark",
    "irregular_mask",
    "gaussian_noise",
    "gaussian_blur",
    "jpeg",
    "chromatic_aberration",
)
"""SR-Net's "six regular types"."""

MIXED_KINDS = (*REGULAR_KINDS, "window_reflection", "fog", "rain")
"""All kinds of degradation that SR-Net restores."""

_GROUPS = {"regular": REGULAR_KINDS, "mixed": MIXED_KINDS}
_Degrade = Callable[[np.ndarray, np.ndarray | None, np.random.Generator], np.ndarray]

# Kinds without levels, with their published settings.
_UNLEVELED: MappingProxyType[str, _Degrade] = MappingProxyType(
    {
        "watermark": lambda image, _, generator: watermark(image, generator),
        "irregular_mask": lambda image, _, generator: irregular_mask(image, generator).image,
        "window_reflection": lambda image, other, generator: _reflect(image, other, generator),
        "fog": lambda image, _, generator: fog(image, generator),
        "rain": lambda image, _, generator: rain(image, generator),
    }
)


class RandomDegradation:
    """Degrades each image by one of several kinds, drawn with equal probability."""

    def __init__(
        self, kinds: str | Iterable[str], *, levels: Iterable[int] = (1, 2, 3, 4), resave_jpeg: bool = False
    ) -> None:
        """Checks and stores the kinds.

        Args:
            kinds: names of kinds: "watermark", "irregular_mask", "window_reflection", "fog", "rain", or any of
                `degradations.KINDS`; "regular" stands for `REGULAR_KINDS` and "mixed" for `MIXED_KINDS`. A string
                contains one or more names separated by commas.
            levels: levels to draw from, for kinds with levels; 1 is the mildest.
            resave_jpeg: compress the result of kinds with levels as JPEG of quality 75, as the published training
                images were, except for compressions.

        Raises:
            UserError: A kind does not exist, occurs twice, or lacks one of the levels.
        """
        names = [name.strip() for name in kinds.split(",")] if isinstance(kinds, str) else list(kinds)
        self.kinds: tuple[str, ...] = tuple(kind for name in names for kind in _GROUPS.get(name, (name,)))
        self._levels = tuple(levels)
        self._resave_jpeg = resave_jpeg
        if not self.kinds or len(set(self.kinds)) < len(self.kinds):
            raise UserError(f"data.degradations.kinds={kinds!r}: give one name or more, each of them once")
        for kind in self.kinds:
            if kind in KINDS:
                for level in self._levels:
                    at_level(kind, range(KINDS[kind].levels), level)
            elif kind not in _UNLEVELED:
                raise UserError(f"data.degradations.kinds: no degradation is called {kind!r}; {_hint(kind)}")
        if not self._levels:
            raise UserError("data.degradations.levels is empty; give one or more of 1, 2, 3, 4")

    def draw(self, generator: np.random.Generator) -> int:
        """Draws a kind.

        Args:
            generator: source of randomness.

        Returns:
            Index in `kinds`.
        """
        return int(generator.integers(len(self.kinds)))

    def takes_another(self, kind: int) -> bool:
        """Returns whether a kind needs a second photograph.

        Args:
            kind: index in `kinds`.

        Returns:
            True for window reflections.
        """
        return self.kinds[kind] == "window_reflection"

    def degrade(
        self, image: np.ndarray, kind: int, generator: np.random.Generator, *, other: np.ndarray | None = None
    ) -> np.ndarray:
        """Degrades an image by one kind, at a random level if the kind has levels.

        Args:
            image: uint8 [H, W, 3].
            kind: index in `kinds`.
            generator: source of randomness.
            other: uint8 [h, w, 3], photograph reflected by a window; only for kinds that need it.

        Returns:
            uint8 [H, W, 3].
        """
        name = self.kinds[kind]
        if name in _UNLEVELED:
            return _UNLEVELED[name](image, other, generator)
        level = self._levels[int(generator.integers(len(self._levels)))]
        return degrade(image, name, level=level, generator=generator, resave_jpeg=self._resave_jpeg)


def _reflect(image: np.ndarray, other: np.ndarray | None, generator: np.random.Generator) -> np.ndarray:
    # `window_reflection` itself rejects a missing photograph.
    return window_reflection(image, cast(np.ndarray, other), generator).image


def _hint(kind: str) -> str:
    names = (*_GROUPS, *_UNLEVELED, *KINDS)
    return did_you_mean(kind, names, f"known names: {', '.join(names)}")
