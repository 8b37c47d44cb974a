"""One of several degradations, drawn for each image, on the host (SR-Net specification, sections 4 and 5)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import MappingProxyType

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
"""All kinds that SR-Net restores."""

_GROUPS = {"regular": REGULAR_KINDS, "mixed": MIXED_KINDS}
_Make = Callable[[np.ndarray, np.ndarray | None, np.random.Generator], np.ndarray]

# Those without levels, in their published settings.
_UNLEVELLED: MappingProxyType[str, _Make] = MappingProxyType(
    {
        "watermark": lambda image, _, generator: watermark(image, generator),
        "irregular_mask": lambda image, _, generator: irregular_mask(image, generator).image,
        "window_reflection": lambda image, other, generator: window_reflection(image, other, generator).image,
        "fog": lambda image, _, generator: fog(image, generator),
        "rain": lambda image, _, generator: rain(image, generator),
    }
)


class RandomDegradation:
    """Degrades each image by one of several kinds, all of them equally often."""

    def __init__(
        self, kinds: str | Iterable[str], *, levels: Iterable[int] = (1, 2, 3, 4), resave_jpeg: bool = False
    ) -> None:
        """Makes it.

        Args:
          kinds: Names: "watermark", "irregular_mask", "window_reflection", "fog", "rain", or any of
            `degradations.KINDS`; "regular" stands for `REGULAR_KINDS` and "mixed" for `MIXED_KINDS`. A
            string holds one or more names with commas between them.
          levels: Levels to draw from, for kinds that have levels; 1 is the mildest.
          resave_jpeg: Save the result of kinds that have levels as JPEG of quality 75 first, as the published training
            images were, but for compressions.

        Raises:
          UserError: There is no such kind, a kind occurs twice, or a kind lacks one of the levels.
        """
        given = [name.strip() for name in kinds.split(",")] if isinstance(kinds, str) else list(kinds)
        self.kinds: tuple[str, ...] = tuple(kind for name in given for kind in _GROUPS.get(name, (name,)))
        self._levels = tuple(levels)
        self._resave_jpeg = resave_jpeg
        if not self.kinds or len(set(self.kinds)) < len(self.kinds):
            raise UserError(f"data.degradations.kinds={kinds!r}: give one name or more, each of them once")
        for kind in self.kinds:
            if kind in KINDS:
                for level in self._levels:
                    at_level(kind, range(KINDS[kind].levels), level)
            elif kind not in _UNLEVELLED:
                raise UserError(f"data.degradations.kinds: no degradation is called {kind!r}; {_hint(kind)}")
        if not self._levels:
            raise UserError("data.degradations.levels is empty; give one or more of 1, 2, 3, 4")

    def draw(self, generator: np.random.Generator) -> int:
        """Draws a kind: its index in `kinds`."""
        return int(generator.integers(len(self.kinds)))

    def takes_another(self, kind: int) -> bool:
        """Whether the kind of an index needs a second photograph."""
        return self.kinds[kind] == "window_reflection"

    def degrade(
        self, image: np.ndarray, kind: int, generator: np.random.Generator, *, other: np.ndarray | None = None
    ) -> np.ndarray:
        """Degrades an image by one kind, at a level that is drawn where the kind has levels.

        Args:
          image: uint8 `[H, W, 3]`.
          kind: Index in `kinds`.
          generator: Source of randomness.
          other: uint8 `[h, w, 3]`, what a window reflects; only for kinds that take it.

        Returns:
          uint8 `[H, W, 3]`.
        """
        name = self.kinds[kind]
        if name in _UNLEVELLED:
            return _UNLEVELLED[name](image, other, generator)
        level = self._levels[int(generator.integers(len(self._levels)))]
        return degrade(image, name, level=level, generator=generator, resave_jpeg=self._resave_jpeg)


def _hint(kind: str) -> str:
    names = (*_GROUPS, *_UNLEVELLED, *KINDS)
    return did_you_mean(kind, names, f"known names: {', '.join(names)}")
