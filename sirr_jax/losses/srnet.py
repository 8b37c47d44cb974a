"""SR-Net's losses (SR-Net specification, section 3).

A reconstruction: the terms and weights of the paper are unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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
"""Weights of the terms of the refiner, of the restorer, and of the term added when both are trained together."""


def discriminator_loss(outputs: Mapping[str, jax.Array]) -> jax.Array:
    """Computes half the least-squares loss: 1/2 [mean (D(real) - 1)^2 + mean D(fake)^2].

    Args:
        outputs: outputs of the discriminator, of which `scores` [2B, h, w, 1] is used, real images first.

    Returns:
        float32 scalar.
    """
    return 0.5 * least_squares_discriminator(*jnp.split(outputs["scores"], 2))


def refiner_terms(
    outputs: Mapping[str, Any], supervised: jax.Array, *, weights: Mapping[str, float]
) -> dict[str, jax.Array]:
    """Computes the weighted terms of G_ref, whose sum is the loss.

    Args:
        outputs: outputs of D_map: `scores` [2B, h, w, 1] and `features`, a sequence of [2B, h, w, C], true maps first.
        supervised: [] distance from the true labels: cross-entropy, or L1 of colors.
        weights: weights by term, see `WEIGHTS`.

    Returns:
        Scalars by name.
    """
    halves = [jnp.split(x, 2) for x in outputs["features"]]
    distance = feature_matching([real for real, _ in halves], [fake for _, fake in halves])
    adversarial = 0.5 * least_squares_generator(jnp.split(outputs["scores"], 2)[1])
    terms = {"adversarial": adversarial, "feature_matching": distance, "supervised": supervised}
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
    """Computes the weighted terms of G_res, whose sum is the loss.

    Args:
        restored: restored images I_r, [B, H, W, 3] in [0, 1], the range to which the published weights refer.
        target: true images I_gt, the same shape and range.
        scores: outputs of D_img on I_r.
        perceptual: [] distance of VGG features.
        style: [] distance of the Gram matrices of VGG features.
        weights: weights by term, see `WEIGHTS`.

    Returns:
        Scalars by name.
    """
    terms = {
        "l1": l1(restored, target),
        "adversarial": 0.5 * least_squares_generator(scores),
        "perceptual": perceptual,
        "style": style,
        "total_variation": total_variation(restored),
    }
    return {name: weights[name] * value for name, value in terms.items()}
