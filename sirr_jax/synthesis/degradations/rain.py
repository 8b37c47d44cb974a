"""Rain streaks and haze over an image with a depth map.

O = J (1 - R - A) + R + A_0 A with the streaks R = pattern * exp(-alpha max(d_1, d)) and the haze A = 1 - exp(-beta d).
Source: SR-Net specification, section 5.6 (RainCityscapes; after Hu et al., CVPR 2019, stated from memory there).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from sirr_jax.errors import UserError
from sirr_jax.synthesis.degradations.depth import check_depth, focal_length, photograph_depth
from sirr_jax.synthesis.degradations.fog import airlight


class RainStrength(NamedTuple):
    """Strength of the rain.

    Attributes:
        alpha: attenuation of the streaks with distance, per meter.
        beta: density of the haze, per meter.
        drop_size: radius of the drops, meters.
    """

    alpha: float
    beta: float
    drop_size: float


RAIN_STRENGTHS = (
    RainStrength(0.01, 0.005, 0.01),
    RainStrength(0.02, 0.01, 0.005),
    RainStrength(0.03, 0.015, 0.002),
)
"""The three settings of RainCityscapes."""


def rain(
    image: np.ndarray,
    generator: np.random.Generator,
    *,
    depth: np.ndarray | None = None,
    strengths: Sequence[RainStrength] = RAIN_STRENGTHS,
    focal: float | None = None,
    pattern: np.ndarray | None = None,
) -> np.ndarray:
    """Adds rain to an image.

    Streaks nearer than d_1 = 2 f a, where a drop of radius a covers a pixel, are as strong as at d_1 (our reading; the
    specification does not define d_1).

    Args:
        image: clear image, uint8 [H, W, 3].
        generator: source of randomness.
        depth: [H, W] depth in meters; by default from `photograph_depth`.
        strengths: settings; one is drawn.
        focal: focal length f in pixels; by default that of Cityscapes' angle of view.
        pattern: [H, W] streaks in [0, 1]; by default from `streak_pattern`.

    Returns:
        uint8 [H, W, 3].

    Raises:
        UserError: A setting is negative, or depth or pattern do not fit the image.
    """
    if not len(strengths) or min(min(strength) for strength in strengths) < 0.0:
        raise UserError(f"strengths is {tuple(strengths)}: use at least one setting of numbers of at least 0")
    height, width, _ = image.shape
    if depth is None:
        depth = photograph_depth(generator, height, width)
    check_depth(depth, image)
    alpha, beta, drop_size = strengths[int(generator.integers(len(strengths)))]
    if pattern is None:
        pattern = streak_pattern(generator, height, width)
    if pattern.shape != depth.shape:
        raise UserError(f"the pattern is {pattern.shape}, the image {depth.shape}: give one value for every pixel")
    near = 2.0 * (focal_length(width) if focal is None else focal) * drop_size
    distance = depth.astype(np.float64)
    streaks = (pattern * np.exp(-alpha * np.maximum(near, distance)))[..., None]
    haze = (1.0 - np.exp(-beta * distance))[..., None]
    clear = image / 255.0
    rainy = clear * (1.0 - streaks - haze) + streaks + airlight(image) / 255.0 * haze
    return np.rint(255.0 * np.clip(rainy, 0.0, 1.0)).astype(np.uint8)


def streak_pattern(generator: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Draws three layers of streaks, from many short thin ones to a few long broad ones.

    Each layer consists of random points convolved with one streak, a line with soft ends; all layers fall in nearly
    the same direction.

    Args:
        generator: source of randomness.
        height: number of rows.
        width: number of columns.

    Returns:
        float64 [H, W] streaks in [0, 1].
    """
    side = min(height, width)
    slant = generator.normal(0.0, 0.15)
    pattern = np.zeros((height, width))
    # Length and breadth in units of the shorter side, streaks per 100 x 100 pixels of an image 512 pixels high.
    for length, breadth, density, strength in (
        (0.04, 0.0012, 14.0, 0.35),
        (0.08, 0.0020, 4.0, 0.55),
        (0.16, 0.0035, 0.7, 0.8),
    ):
        reach = side * length
        thickness = max(0.6, side * breadth)
        angle = slant + generator.normal(0.0, 0.03)
        margin = int(np.ceil(0.5 * reach + 4.0 * thickness))
        rows, columns = height + 2 * margin, width + 2 * margin
        amount = density * generator.uniform(0.5, 1.5) * (512.0 / side) ** 2 / 1e4
        points = np.where(generator.random((rows, columns)) < amount, generator.random((rows, columns)), 0.0)
        streak = _streak(rows, columns, reach, thickness, angle)
        layer = np.fft.irfft2(np.fft.rfft2(points) * np.fft.rfft2(streak), s=(rows, columns))
        pattern += strength * layer[margin : margin + height, margin : margin + width]
    return np.clip(pattern, 0.0, 1.0)


def _streak(rows: int, columns: int, length: float, thickness: float, angle: float) -> np.ndarray:
    """One streak about pixel (0, 0) of a periodic canvas; peak 1; `angle` from the vertical."""
    y = (np.fft.fftfreq(rows) * rows)[:, None]
    x = (np.fft.fftfreq(columns) * columns)[None, :]
    along = x * np.sin(angle) + y * np.cos(angle)
    across = x * np.cos(angle) - y * np.sin(angle)
    within = np.clip(1.0 - np.maximum(np.abs(along) - 0.3 * length, 0.0) / (0.2 * length), 0.0, 1.0)
    return within * np.exp(-0.5 * (across / thickness) ** 2)
