"""Options of the multi-view generator: sizes, probabilities and ranges."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from sirr_jax.errors import UserError
from sirr_jax.synthesis.options import Range

MIXING_MODELS = ("ceilnet", "zhang", "dsrnet", "wen", "glass")
"""Names of the mixing models, in the order of `MixingParameters.model`; A to E in the distillation specification."""


@dataclasses.dataclass(frozen=True)
class MultiviewOptions:
    """Sizes, probabilities and ranges of the multi-view generator (distillation specification, section 6).

    Frozen and hashable, so it can be a static argument of a jitted function. Lists become tuples, so the values of a
    config file can be passed unchanged. Ranges are `(low, high)` of a uniform draw unless stated otherwise;
    probabilities are in [0, 1].

    Attributes:
        size: side of the square crop, or `(height, width)`, in pixels, at least 16.
        margin: margin of the canvas on every side of the crop, in pixels; None for a quarter of the longer side.
        field_of_view: horizontal field of view, degrees.
        rotation: largest absolute camera rotation between neighboring frames, per axis, degrees.
        rotation_noise: standard deviation of the independent rotation of each frame, per axis, degrees.
        baseline: length b of the camera's step between frames, meters.
        direction_z: component of the step along the optical axis, in units of b.
        step_scale: factor on the step, drawn for each frame.
        translation_noise: standard deviation of the independent translation of each frame, per axis, in units of b.
        depth_t: depth of the transmission's background, meters, log-uniform.
        depth_r: depth of the (virtual) reflected scene, meters, log-uniform; its lower end is also the smallest depth
            of a foreground plane of the transmission.
        minimum_parallax: smallest accepted parallax abs(f b / Z_R - f b / Z_T), pixels.
        ambiguous_probability: share of the sequences whose reflection keeps its first depth, whatever the parallax.
        depth_candidates: number of depths of the reflection drawn per sequence; the first one with enough parallax is
            used.
        parallax_probability: share of the sequences whose transmission has 2 or 3 planes.
        plane_ratio: ratio of the depths of neighboring planes.
        plane_threshold: level, in standard deviations of a smooth field, above which a foreground plane is opaque.
        jitter_probability: share of the sequences whose reflection moves by an additional small affine map.
        jitter_translation: standard deviation of that map's translation, pixels.
        jitter_scale: standard deviation of that map's scale about 1.
        model_probabilities: probabilities of the mixing models ceilnet, zhang, dsrnet, wen, glass; sum 1.
        blur_probabilities: probabilities of no blur, of `blur_weak` and of the model's own range; sum 1.
        blur_weak: sigma of a weak blur, pixels.
        blur_own: sigma of the model's own blur, pixels, one range for each of `MIXING_MODELS`.
        ghosting_probability: share of the mixtures whose reflection is doubled.
        ghosting_shift: length of the displacement of the double, pixels (rounded to whole pixels per axis).
        ghosting_strength: weight a of the first image; the weight of the double is 1 - a.
        excess_gain: factor on the mean excess over 1 in ceilnet (1.3 in CEILNet and ERRNet).
        attenuation: factor on the mean excess over 1 in zhang.
        transmittance: factor on T in zhang and glass (alpha, in linear light) and in dsrnet (a).
        reflectance: factor on R in dsrnet (b).
        glass_reflectance: factor on R in glass (rho, in linear light).
        mask: lower and upper limit of the mask W of wen.
        minimum_peak: smallest accepted maximum of a layer; darker layers are brightened to it.
        contrast: exponent on the reflected scene; above 1, mostly its lights remain.
        local_probability: share of the mixtures whose reflection covers only a part of the image.
        clean_probability: share of the mixtures without a reflection, whose transmission is not attenuated.
        noise_probability: share of the mixtures with sensor noise.
        noise_sigma: standard deviations of read noise and (at white) shot noise.
        jpeg_probability: share of the mixtures compressed as JPEG.
        jpeg_quality: lowest and highest quality, whole numbers in 1..100, both included.

    Raises:
        UserError: A value is outside the range stated above.
    """

    size: int | tuple[int, int] = 256
    margin: int | None = None
    field_of_view: Range = (45.0, 75.0)
    rotation: float = 0.6
    rotation_noise: float = 0.1
    baseline: Range = (0.015, 0.08)
    direction_z: Range = (-0.3, 0.3)
    step_scale: Range = (0.8, 1.2)
    translation_noise: float = 0.1
    depth_t: Range = (1.5, 12.0)
    depth_r: Range = (0.5, 8.0)
    minimum_parallax: float = 1.0
    ambiguous_probability: float = 0.1
    depth_candidates: int = 16
    parallax_probability: float = 0.4
    plane_ratio: Range = (1.3, 3.0)
    plane_threshold: Range = (0.4, 1.2)
    jitter_probability: float = 0.3
    jitter_translation: float = 1.5
    jitter_scale: float = 0.003
    model_probabilities: tuple[float, float, float, float, float] = (0.35, 0.35, 0.15, 0.15, 0.0)
    blur_probabilities: tuple[float, float, float] = (0.2, 0.3, 0.5)
    blur_weak: Range = (0.5, 2.0)
    blur_own: tuple[Range, ...] = ((2.0, 5.0), (1.0, 5.0), (2.0, 5.0), (2.5, 5.0), (0.5, 5.0))
    ghosting_probability: float = 0.3
    ghosting_shift: Range = (3.0, 12.0)
    ghosting_strength: Range = (0.5, 1.0)
    excess_gain: float = 1.3
    attenuation: Range = (1.08, 1.18)
    transmittance: Range = (0.8, 1.0)
    reflectance: Range = (0.4, 1.0)
    glass_reflectance: Range = (0.05, 0.6)
    mask: Range = (0.05, 0.6)
    minimum_peak: float = 0.15
    contrast: Range = (1.0, 1.0)
    local_probability: float = 0.0
    clean_probability: float = 0.0
    noise_probability: float = 0.5
    noise_sigma: Range = (0.0, 0.01)
    jpeg_probability: float = 0.3
    jpeg_quality: tuple[int, int] = (80, 100)

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            object.__setattr__(self, field.name, _as_tuple(getattr(self, field.name)))
        if min(self.height, self.width) < 16:
            raise UserError(f"size is {self.size}: a crop needs at least 16 pixels a side; use a larger size")
        if self.margin is not None and self.margin < 0:
            raise UserError(f"margin is {self.margin}: use 0 or more pixels, or None for a quarter of the side")
        for name in _PROBABILITIES:
            value = getattr(self, name)
            if not 0.0 <= value <= 1.0:
                raise UserError(f"{name} is {value}: use a probability between 0 and 1")
        for name, length in (("model_probabilities", len(MIXING_MODELS)), ("blur_probabilities", 3)):
            value = getattr(self, name)
            if len(value) != length or min(value) < 0.0 or not math.isclose(sum(value), 1.0, abs_tol=1e-6):
                raise UserError(f"{name} is {value}: use {length} numbers of at least 0 that sum to 1")
        if len(self.blur_own) != len(MIXING_MODELS):
            raise UserError(f"blur_own has {len(self.blur_own)} ranges: use five, for {', '.join(MIXING_MODELS)}")
        ranges = [(name, getattr(self, name)) for name in _LIMITS if name != "blur_own"]
        for name, value in ranges + [("blur_own", own) for own in self.blur_own]:
            least, most = _LIMITS[name]
            if not isinstance(value, tuple) or len(value) != 2 or not least <= value[0] <= value[1] <= most:
                raise UserError(f"{name} is {value}: use two numbers from {least:g} to {most:g}, the lower one first")
        for name in _FROM_ZERO:
            value = getattr(self, name)
            if not 0.0 <= value < math.inf:
                raise UserError(f"{name} is {value}: use a number of at least 0")
        if self.depth_candidates < 1:
            raise UserError(f"depth_candidates is {self.depth_candidates}: use 1 or more")
        if not all(isinstance(end, int) for end in self.jpeg_quality):
            raise UserError(f"jpeg_quality is {self.jpeg_quality}: use two whole numbers in 1..100")

    @property
    def height(self) -> int:
        """Number of rows of the crop."""
        return self.size if isinstance(self.size, int) else self.size[0]

    @property
    def width(self) -> int:
        """Number of columns of the crop."""
        return self.size if isinstance(self.size, int) else self.size[1]

    @property
    def border(self) -> int:
        """Margin of the canvas around the crop in pixels: `margin`, or its default."""
        return max(self.height, self.width) // 4 if self.margin is None else self.margin

    @property
    def canvas(self) -> tuple[int, int]:
        """Rows and columns of the photographs for `synthesize`."""
        return self.height + 2 * self.border, self.width + 2 * self.border


def _as_tuple(value: Any) -> Any:
    return tuple(_as_tuple(item) for item in value) if isinstance(value, (list, tuple)) else value


_PROBABILITIES = (
    "ambiguous_probability",
    "parallax_probability",
    "jitter_probability",
    "ghosting_probability",
    "noise_probability",
    "jpeg_probability",
    "local_probability",
    "clean_probability",
    "minimum_peak",
)
# Smallest lower end and largest upper end of each range; values beyond are no camera, no pane or no number.
_LIMITS = {
    "field_of_view": (1.0, 170.0),
    "baseline": (1e-12, 1e3),
    "direction_z": (-10.0, 10.0),
    "step_scale": (0.0, 100.0),
    "depth_t": (1e-3, 1e6),
    "depth_r": (1e-3, 1e6),
    "plane_ratio": (1e-3, 1e3),
    "plane_threshold": (-10.0, 10.0),
    "blur_weak": (1e-3, 100.0),
    "blur_own": (1e-3, 100.0),
    "ghosting_shift": (0.0, 1e3),
    "ghosting_strength": (0.0, 1.0),
    "attenuation": (0.0, 10.0),
    "transmittance": (0.0, 1.0),
    "reflectance": (0.0, 10.0),
    "glass_reflectance": (0.0, 10.0),
    "contrast": (0.01, 100.0),
    "mask": (0.0, 1.0),
    "noise_sigma": (0.0, 1.0),
    "jpeg_quality": (1, 100),
}
_FROM_ZERO = (
    "rotation",
    "rotation_noise",
    "translation_noise",
    "minimum_parallax",
    "jitter_translation",
    "jitter_scale",
    "excess_gain",
)
