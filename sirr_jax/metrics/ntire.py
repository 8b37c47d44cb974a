"""The protocol `ntire` (protocols specification)."""

from __future__ import annotations

from functools import partial

from sirr_jax.metrics._images import Image, Score, finish, prepare
from sirr_jax.metrics.eight_bit import eight_bit
from sirr_jax.metrics.protocols import PROTOCOLS, Protocol
from sirr_jax.metrics.ssim import ssim

_EPSILON = 1e-8
_BORDER = 4


def ntire_psnr(estimate: Image, target: Image) -> Score:
    """Computes -10 log10(MSE + 1e-8) over all channels, in dB; 80 dB for equal images.

    Args:
        estimate: image [H, W, C] or batch [N, H, W, C], floating point; clipped to [0, 1].
        target: target of the same shape, floating point, in [0, 1].

    Returns:
        One value per image: a `float` for [H, W, C], [N] for a batch.

    Raises:
        UserError: The shapes differ, are not images or are empty, or an array is not floating point.
    """
    xp, x, y = prepare(estimate, target, metric="psnr")
    return finish(-10.0 * xp.log10(((x - y) ** 2).mean(axis=(-3, -2, -1)) + _EPSILON))


PROTOCOLS.add(
    "ntire",
    Protocol(
        "OpenRR and the NTIRE challenges of 2025 and 2026: images rounded to 8 bits, 4 pixels left out on every side; "
        "PSNR of the squared error pooled over all channels, with 1e-8 added to it; SSIM with the Gaussian 11x11 "
        "window (sigma 1.5, population covariance, inside the image), mean over channels.",
        {"psnr": ntire_psnr, "ssim": partial(ssim, window="gaussian")},
        partial(eight_bit, protocol="ntire", border=_BORDER),
    ),
)
