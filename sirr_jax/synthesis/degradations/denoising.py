"""What a denoiser leaves: type 9 of the SR-Net specification, section 5.1."""

from __future__ import annotations

import numpy as np

from sirr_jax.errors import UserError
from sirr_jax.synthesis.degradations.base import at_level, to_uint8
from sirr_jax.synthesis.degradations.noise import VARIANCES, gaussian_noise

_SIGMA = 25.0 / 255.0


def denoising(image: np.ndarray, level: int, generator: np.random.Generator) -> np.ndarray:
    """Adds the noise of `gaussian_noise`, then noise of standard deviation 25/255, and removes the latter.

    As in the published script the second noise has a fixed seed: it is the same for every image of a size. The
    script denoises by BM3D, whose code is not free for every use; non-local means (Buades et al., 2005, from
    scikit-image) for the same standard deviation stand in for it. The denoiser is told of the second noise alone; at
    level 4 the first is so much stronger that nearly all of it remains.

    Args:
        image: uint8 [H, W, 3], RGB.
        level: 1 to 4.
        generator: source of randomness, of the first noise.

    Returns:
        uint8 [H, W, 3].

    Raises:
        UserError: if there is no such level, or scikit-image is not installed.
    """
    at_level("denoising", VARIANCES, level)
    try:
        from skimage.restoration import denoise_nl_means
    except ModuleNotFoundError:
        raise UserError("denoising needs scikit-image, which is not installed: pip install 'sirr_jax[train]'") from None
    noisy = gaussian_noise(image, level, generator) / 255.0
    # Not `default_rng`: to a caller's generator of the same seed it would add the same noise twice.
    fixed = np.random.Generator(np.random.MT19937(0))
    noisy += _SIGMA * fixed.standard_normal(image.shape)
    # Patches of 5 x 5 within 13 x 13 pixels. More than scikit-image's 0.6 sigma: that much breaks down at level 3.
    cleaned = denoise_nl_means(
        noisy, patch_size=5, patch_distance=6, h=0.8 * _SIGMA, sigma=_SIGMA, fast_mode=True, channel_axis=-1
    )
    # Sides of one pixel are dropped on the way.
    return to_uint8(255.0 * cleaned.reshape(image.shape))
