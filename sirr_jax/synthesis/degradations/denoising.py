"""Artifacts of denoising: type 9 of the SR-Net specification, section 5.1."""

from __future__ import annotations

import numpy as np

from sirr_jax.errors import UserError
from sirr_jax.synthesis.degradations.base import at_level, to_uint8
from sirr_jax.synthesis.degradations.noise import VARIANCES, gaussian_noise
from sirr_jax.synthesis.degradations.registry import register_kind

_SIGMA = 25.0 / 255.0


@register_kind("denoising", number=9)
def denoising(image: np.ndarray, level: int, generator: np.random.Generator) -> np.ndarray:
    """Adds the noise of `gaussian_noise`, then noise of standard deviation 25/255, and removes the latter.

    As in the published script the second noise has a fixed seed: it is the same for every image of a size. The
    script denoises by BM3D, whose code is not free for every use; non-local means (Buades et al., 2005, from
    scikit-image) for the same standard deviation replace it. The denoiser is set to the second noise alone; at level 4
    the first noise is so much stronger that nearly all of it remains.

    Args:
        image: RGB image, uint8 [H, W, 3].
        level: severity, 1 to 4.
        generator: source of randomness for the first noise.

    Returns:
        uint8 [H, W, 3].

    Raises:
        UserError: The level does not exist, or scikit-image is not installed.
    """
    at_level("denoising", VARIANCES, level)
    try:
        from skimage.restoration import denoise_nl_means
    except ModuleNotFoundError:
        raise UserError("denoising needs scikit-image, which is not installed: pip install 'sirr_jax[train]'") from None
    noisy = gaussian_noise(image, level, generator) / 255.0
    # Not `default_rng`: with a caller's generator of the same seed, the same noise would be added twice.
    fixed = np.random.Generator(np.random.MT19937(0))
    noisy += _SIGMA * fixed.standard_normal(image.shape)
    # Patches of 5 x 5 within 13 x 13 pixels. Larger h than scikit-image's 0.6 sigma, which fails at level 3.
    denoised = denoise_nl_means(
        noisy, patch_size=5, patch_distance=6, h=0.8 * _SIGMA, sigma=_SIGMA, fast_mode=True, channel_axis=-1
    )
    # `denoise_nl_means` drops sides of one pixel.
    return to_uint8(255.0 * denoised.reshape(image.shape))
