"""Noise: types 1, 2, 5, 6 and 19 of the SR-Net specification, section 5.1."""

from __future__ import annotations

import numpy as np

from sirr_jax.synthesis.degradations.base import at_level, to_uint8
from sirr_jax.synthesis.degradations.registry import register_kind
from sirr_jax.synthesis.degradations.ycbcr import rgb_to_ycbcr, ycbcr_to_rgb

VARIANCES = (0.001, 0.005, 0.01, 0.05)
"""Variance of Gaussian noise by level, for images in [0, 1]."""

_COLOR_VARIANCES = (0.0140, 0.0198, 0.0343, 0.0524)
_DENSITIES = (0.005, 0.01, 0.05, 0.1)
_FACTORS = (0.05, 0.09, 0.13, 0.2)
_HIGH_PASS_RADIUS = 10.0


@register_kind("gaussian_noise", number=1)
def gaussian_noise(image: np.ndarray, level: int, generator: np.random.Generator) -> np.ndarray:
    """Adds white Gaussian noise of variance 0.001, 0.005, 0.01 or 0.05 (of values in [0, 1]) to every channel.

    Args:
        image: RGB image, uint8 [H, W, 3].
        level: severity, 1 to 4.
        generator: source of randomness.

    Returns:
        uint8 [H, W, 3].

    Raises:
        UserError: The level does not exist.
    """
    variance = at_level("gaussian_noise", VARIANCES, level)
    return to_uint8(255.0 * _with_noise(image / 255.0, variance, generator))


@register_kind("color_noise", number=2)
def color_noise(image: np.ndarray, level: int, generator: np.random.Generator) -> np.ndarray:
    """Adds Gaussian noise of variance 0.0140, 0.0198, 0.0343 or 0.0524 to the planes of YCbCr.

    The planes are rounded to uint8 before the noise is added, and divided by 255.

    Args:
        image: RGB image, uint8 [H, W, 3].
        level: severity, 1 to 4.
        generator: source of randomness.

    Returns:
        uint8 [H, W, 3].

    Raises:
        UserError: The level does not exist.
    """
    variance = at_level("color_noise", _COLOR_VARIANCES, level)
    planes = to_uint8(255.0 * rgb_to_ycbcr(image / 255.0)) / 255.0
    return to_uint8(255.0 * ycbcr_to_rgb(_with_noise(planes, variance, generator)))


@register_kind("high_frequency_noise", number=5)
def high_frequency_noise(image: np.ndarray, level: int, generator: np.random.Generator) -> np.ndarray:
    """Adds Gaussian noise, as `gaussian_noise` does, to an image without its very highest frequencies.

    The published script intends to keep the high frequencies: it multiplies the Fourier transform by the high-pass
    filter 1 - exp(-D^2 / (2 * 10^2)), where D is the distance from the middle of the array. But the zero frequency of
    the transform is in a corner, so the filter removes a spot near the Nyquist frequency instead, and the result is
    practically Gaussian noise. If a side has less than about 50 pixels, the spot reaches the zero frequency and the
    image darkens.

    Args:
        image: RGB image, uint8 [H, W, 3].
        level: severity, 1 to 4.
        generator: source of randomness.

    Returns:
        uint8 [H, W, 3].

    Raises:
        UserError: The level does not exist.
    """
    variance = at_level("high_frequency_noise", VARIANCES, level)
    height, width = image.shape[:2]
    # Centered at H/2 and W/2, the filter is symmetric in the sign of a frequency, so the result is real.
    square = (np.arange(height) - height / 2)[:, None] ** 2 + (np.arange(width) - width / 2)[None, :] ** 2
    high_pass = 1.0 - np.exp(-square / (2.0 * _HIGH_PASS_RADIUS**2))
    spectrum = np.fft.fft2(image / 255.0, axes=(0, 1))
    filtered = np.fft.ifft2(spectrum * high_pass[..., None], axes=(0, 1)).real
    return to_uint8(255.0 * _with_noise(filtered, variance, generator))


@register_kind("impulse_noise", number=6)
def impulse_noise(image: np.ndarray, level: int, generator: np.random.Generator) -> np.ndarray:
    """Adds salt and pepper: every sample becomes 0 or 255 with probability 0.005, 0.01, 0.05 or 0.1.

    Args:
        image: RGB image, uint8 [H, W, 3].
        level: severity, 1 to 4.
        generator: source of randomness.

    Returns:
        uint8 [H, W, 3]; half of the replaced samples are 0, half 255.

    Raises:
        UserError: The level does not exist.
    """
    density = at_level("impulse_noise", _DENSITIES, level)
    uniform = generator.random(image.shape)
    noisy = image.copy()
    noisy[uniform < density] = 255
    noisy[uniform < density / 2] = 0
    return noisy


@register_kind("multiplicative_noise", number=19)
def multiplicative_noise(image: np.ndarray, level: int, generator: np.random.Generator) -> np.ndarray:
    """Multiplies every sample by 1 + l N(0, 1), where l is 0.05, 0.09, 0.13 or 0.2.

    Args:
        image: RGB image, uint8 [H, W, 3].
        level: severity, 1 to 4.
        generator: source of randomness.

    Returns:
        uint8 [H, W, 3].

    Raises:
        UserError: The level does not exist.
    """
    factor = at_level("multiplicative_noise", _FACTORS, level)
    return to_uint8(image * (1.0 + factor * generator.standard_normal(image.shape)))


def _with_noise(image: np.ndarray, variance: float, generator: np.random.Generator) -> np.ndarray:
    return image + np.sqrt(variance) * generator.standard_normal(image.shape)
