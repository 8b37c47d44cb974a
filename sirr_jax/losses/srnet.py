"""SR-Net's losses: which terms, and with which weights (SR-Net specification, section 3).

A reconstruction: which of these terms the paper uses, and with what weights, is unknown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp

from sirr_jax.losses.adversarial import least_squares_discriminator, least_squares_generator
from sirr_jax.losses.feature_matching import feature_matching
from sirr_jax.losses.pixel import l1, total_variation

WEIGHTS: dict[str, dict[str, float]] = {
    "refiner": {"adversarial": 1.0, "feature_matching": 10.0, "supervised": 10.0},
    "restorer": {"l1": 1.0, "adversarial": 0.1, "perceptual": 0.1, "style": 250.0, "total_variation": 0.01},
    "joint": {"consistency": 0.1},
}
"""Of the refiner's terms, of the restorer's, and of what is added when both are trained together."""


def discriminator_loss(verdict: Mapping[str, jax.Array]) -> jax.Array:
    """Least squares, halved: 1/2 [(D(real) - 1)^2 + D(fake)^2], means.

    Args:
        verdict: `scores` [2B, h, w, 1], of the real ones first.
    """
    return 0.5 * least_squares_discriminator(*jnp.split(verdict["scores"], 2))


def refiner_terms(
    verdict: Mapping[str, jax.Array | Sequence[jax.Array]], supervised: jax.Array, *, weights: Mapping[str, float]
) -> dict[str, jax.Array]:
    """The weighted terms of G_ref; their sum is the loss.

    Args:
        verdict: of D_map, `scores` and `features` [2B, h, w, C], of the true maps first.
        supervised: the distance from the true labels: cross-entropy, or L1 of colors.
        weights: see `WEIGHTS`.
    """
    halves = [jnp.split(x, 2) for x in verdict["features"]]
    matched = feature_matching([real for real, _ in halves], [fake for _, fake in halves])
    fooled = 0.5 * least_squares_generator(jnp.split(verdict["scores"], 2)[1])
    terms = {"adversarial": fooled, "feature_matching": matched, "supervised": supervised}
    return {name: weights[name] * value for name, value in terms.items()}


def restorer_terms(
    restored: jax.Array,
    target: jax.Array,
    scores: jax.Array,
    perceptual: jax.Array,
    style: jax.Array,
    *,
    weights: Mapping[str, float],
) -> dict[str, jax.Array]:
    """The weighted terms of G_res; their sum is the loss.

    Args:
        restored: I_r [B, H, W, 3], here in [0, 1]: the range in which the weights are published.
        target: I_gt, the same.
        scores: of D_img on I_r.
        perceptual: distance of VGG features.
        style: distance of their correlations.
        weights: see `WEIGHTS`.
    """
    terms = {
        "l1": l1(restored, target),
        "adversarial": 0.5 * least_squares_generator(scores),
        "perceptual": perceptual,
        "style": style,
        "total_variation": total_variation(restored),
    }
    return {name: weights[name] * value for name, value in terms.items()}
