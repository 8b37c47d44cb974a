"""The protocol `windowseat` (protocols specification)."""

from __future__ import annotations

import math
from functools import partial

from sirr_jax.metrics._images import Image, Score, finish
from sirr_jax.metrics.eight_bit import eight_bit
from sirr_jax.metrics.ms_ssim import SMALLEST, ms_ssim
from sirr_jax.metrics.protocols import PROTOCOLS, Protocol
from sirr_jax.metrics.psnr import psnr
from sirr_jax.metrics.ssim import ssim


def _ms_ssim(estimate: Image, target: Image) -> Score:
    """MS-SSIM; NaN where the images are too small for five scales."""
    if min(estimate.shape[-3:-1]) < SMALLEST:
        return finish(0.0 * estimate.mean(axis=(-3, -2, -1)) + math.nan)
    return ms_ssim(estimate, target)


PROTOCOLS.add(
    "windowseat",
    Protocol(
        "WindowSeat (2025) and those who compare with it: images rounded to 8 bits; PSNR of the squared error pooled "
        "over all channels; SSIM with scikit-image's defaults (7x7 uniform window, sample covariance, range 1), mean "
        "over channels; MS-SSIM (five scales, Gaussian 11x11 window, sigma 1.5), NaN below 161 pixels a side.",
        {"psnr": partial(psnr, per_channel=False), "ssim": ssim, "ms_ssim": _ms_ssim},
        partial(eight_bit, protocol="windowseat"),
    ),
)
