"""EdgeGAN's generator loss, as released and balanced (EdgeGAN specification, section 5)."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from sirr_jax.losses.adversarial import cross_entropy_generator
from sirr_jax.losses.ms_ssim import ms_ssim
from sirr_jax.losses.pixel import l1


class GeneratorLoss(NamedTuple):
    """Weights of the terms of the generator's loss, and the value range of its inputs.

    Attributes:
        pixel: weight of the pixel error.
        structure: weight of 1 - MS-SSIM.
        perceptual: weight of the distance of VGG-16 features.
        adversarial: weight of the adversarial loss.
        raw: compute the pixel error as the mean square in 0..255 and MS-SSIM in [-1, 1], as released. Else the pixel
            error is the mean absolute error, and both are computed in [0, 1].
    """

    pixel: float
    structure: float
    perceptual: float
    adversarial: float
    raw: bool = False


RELEASE = GeneratorLoss(pixel=1.0, structure=10.0, perceptual=1.0, adversarial=10.0, raw=True)
"""As released: errors in 0..255 outweigh the structure and adversarial terms by orders of magnitude."""

BALANCED = GeneratorLoss(pixel=1.0, structure=0.1, perceptual=0.1, adversarial=0.01)
"""Our weights, for training from scratch."""

PRESETS = {"release": RELEASE, "balanced": BALANCED}


def generator_terms(
    loss: GeneratorLoss,
    restored: jax.Array,
    target: jax.Array,
    perceptual: jax.Array,
    logits: jax.Array,
    *,
    scales: int,
) -> dict[str, jax.Array]:
    """Computes the weighted terms `pixel`, `structure`, `perceptual` and `adversarial`, whose sum is the loss.

    Args:
        loss: weights, for example one of `PRESETS`.
        restored: [B, H, W, 3] in [0, 1]: (g + 1) / 2 of the generator's output g.
        target: target of the same shape and range.
        perceptual: [] distance of VGG-16 features, not weighted.
        logits: logits of the discriminator on the restored images.
        scales: number of scales of MS-SSIM; 5, as released, needs images of at least 161 pixels a side.

    Returns:
        float32 scalars by name.

    Raises:
        UserError: The images are too small for the scales.
    """
    if loss.raw:
        pixel = 255.0**2 * jnp.square(restored - target).mean()
        similarity = ms_ssim(2.0 * restored - 1.0, 2.0 * target - 1.0, max_value=2.0, scales=scales)
    else:
        pixel = l1(restored, target)
        similarity = ms_ssim(restored, target, max_value=1.0, scales=scales)
    return {
        "pixel": loss.pixel * pixel,
        "structure": loss.structure * (1.0 - similarity.mean()),
        "perceptual": loss.perceptual * perceptual,
        "adversarial": loss.adversarial * cross_entropy_generator(logits),
    }
