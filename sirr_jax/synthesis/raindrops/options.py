"""Options of raindrops on a pane."""

from __future__ import annotations

import dataclasses

from sirr_jax.errors import UserError
from sirr_jax.synthesis.options import Range


@dataclasses.dataclass(frozen=True)
class RaindropOptions:
    """Numbers, sizes and optics of the drops on one pane.

    Frozen and hashable, so it can be a static argument of a jitted function; lists become tuples. Ranges are
    `(low, high)` of a uniform draw unless stated otherwise. Lengths are in units of the shorter side of the image, so
    they suit photographs of any size. The defaults are ours, matched by eye to the pairs of Qian et al. (CVPR 2018).

    Attributes:
        count: smallest and largest number of drops, both included; the largest determines the cost.
        radius: radius of a drop, log-uniform.
        elongation: ratio of height to width of a drop.
        roughness: relative amplitude of the waves of the outline.
        joined_probability: share of the drops that are merged with a smaller one.
        defocus: radius of the circle of confusion; one value per image, since all drops lie on one pane.
        view: distance between a drop and the part of the scene shown at its rim.
        brightness: factor on the light through drops.
        ambient: weight of light as bright as the brightest tenth of the image (sky), against the mirrored image, in
            the view beyond the upper border of the image; half of this weight applies to the whole drop.
        rim: relative darkening of the rim against the center, in linear light.
        highlight: linear brightness of the peak of the highlight, before defocus.
        faintest: coverage below which the fringe of a drop is omitted.
        mask_threshold: smallest difference from the clean image, 0 to 255, that is in the mask (`difference_mask`; 30
            is the published rule). 0: the mask contains all pixels touched by drops, including faint fringes.

    Raises:
        UserError: A value is outside the range stated above.
    """

    count: tuple[int, int] = (8, 48)
    radius: Range = (0.015, 0.1)
    elongation: Range = (0.9, 1.35)
    roughness: Range = (0.0, 0.12)
    joined_probability: float = 0.35
    defocus: Range = (0.008, 0.06)
    view: Range = (0.4, 1.0)
    brightness: Range = (0.8, 1.15)
    ambient: Range = (0.2, 0.9)
    rim: Range = (0.2, 0.7)
    highlight: Range = (0.0, 1.0)
    faintest: float = 0.15
    mask_threshold: float = 30.0

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, list):
                object.__setattr__(self, field.name, tuple(value))
        for name, (least, most) in _LIMITS.items():
            value = getattr(self, name)
            if not isinstance(value, tuple) or len(value) != 2 or not least <= value[0] <= value[1] <= most:
                raise UserError(f"{name} is {value}: use two numbers from {least:g} to {most:g}, the lower one first")
        if not all(isinstance(end, int) for end in self.count):
            raise UserError(f"count is {self.count}: use two whole numbers")
        if not 0.0 <= self.joined_probability <= 1.0:
            raise UserError(f"joined_probability is {self.joined_probability}: use a probability between 0 and 1")
        if not 0.0 < self.faintest < 1.0:
            raise UserError(f"faintest is {self.faintest}: use a coverage between 0 and 1, such as 0.15")
        if not isinstance(self.mask_threshold, (int, float)) or not 0.0 <= self.mask_threshold <= 255.0:
            raise UserError(f"mask_threshold is {self.mask_threshold}: use a difference from 0 to 255, such as 30")


_LIMITS = {
    "count": (0, 1000),
    "radius": (0.001, 0.5),
    "elongation": (0.2, 5.0),
    "roughness": (0.0, 0.3),
    "defocus": (0.0, 0.2),
    "view": (0.0, 2.0),
    "brightness": (0.0, 2.0),
    "ambient": (0.0, 1.0),
    "rim": (0.0, 1.0),
    "highlight": (0.0, 10.0),
}
