"""Blur and chromatic aberration: types 8 and 23 of the SR-Net specification, section 5.1."""

from __future__ import annotations

import numpy as np

from sirr_jax.synthesis.degradations.base import at_level, to_uint8
from sirr_jax.synthesis.degradations.registry import register_kind

_SIZES = (7, 15, 39, 91)
_SHIFTS = (2, 6, 10, 14)


@register_kind("gaussian_blur", number=8)
def gaussian_blur(image: np.ndarray, level: int, generator: np.random.Generator) -> np.ndarray:  # noqa: ARG001
    """Blurs with a Gaussian of 7, 15, 39 or 91 pixels a side and a standard deviation of a sixth of that.

    Args:
        image: RGB image, uint8 [H, W, 3].
        level: severity, 1 to 4.
        generator: not used.

    Returns:
        uint8 [H, W, 3].

    Raises:
        UserError: The level does not exist.
    """
    size = at_level("gaussian_blur", _SIZES, level)
    return to_uint8(gaussian_filter(image, size=size, sigma=size / 6.0))


@register_kind("chromatic_aberration", number=23)
def chromatic_aberration(image: np.ndarray, level: int, generator: np.random.Generator) -> np.ndarray:  # noqa: ARG001
    """Shifts red to the right by 1, 5, 9 or 13 pixels and green by 0, 2, 4 or 6, then blurs slightly.

    Columns uncovered by a shift at the left keep their values. The blur is a Gaussian of 3 x 3 pixels, standard
    deviation 0.5, on all channels.

    Args:
        image: RGB image, uint8 [H, W, 3].
        level: severity, 1 to 4.
        generator: not used.

    Returns:
        uint8 [H, W, 3].

    Raises:
        UserError: The level does not exist.
    """
    shift = at_level("chromatic_aberration", _SHIFTS, level)
    shifted = image.copy()
    width = image.shape[1]
    for channel, right in ((0, shift - 1), (1, shift // 2 - 1)):
        if right < width:
            shifted[:, right:, channel] = image[:, : width - right, channel]
    return to_uint8(gaussian_filter(shifted, size=3, sigma=0.5))


def gaussian_filter(image: np.ndarray, *, size: int, sigma: float, mirrored: bool = True) -> np.ndarray:
    """Filters with a Gaussian truncated at a square.

    Equals MATLAB's `imfilter` with `fspecial('gaussian')`, with `'symmetric'` if mirrored.

    Args:
        image: [H, W, C], of any size.
        size: side of the square in pixels, odd.
        sigma: standard deviation in pixels.
        mirrored: pad by reflection with repeated outermost pixels if true, with zeros if false.

    Returns:
        float64 [H, W, C].
    """
    # Imported here because loading SciPy, a dependency of JAX, takes time.
    from scipy import ndimage

    weights = np.exp(-0.5 * ((np.arange(size) - size // 2) / sigma) ** 2)
    weights /= weights.sum()
    mode = "reflect" if mirrored else "constant"
    down = ndimage.correlate1d(image.astype(np.float64), weights, axis=0, mode=mode)
    return ndimage.correlate1d(down, weights, axis=1, mode=mode)
