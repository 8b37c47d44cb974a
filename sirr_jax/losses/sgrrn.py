"""SGRRN's generator loss, as released and as intended (SGRRN specification, section 7)."""

from __future__ import annotations

from typing import NamedTuple

import jax

from sirr_jax.losses.adversarial import least_squares_generator
from sirr_jax.losses.pixel import l1, multiscale_gradient_l1


class Objective(NamedTuple):
    """Weights of the terms (the first four apply to both layers), and variants of two terms.

    Attributes:
        pixel: weight of the mean absolute error.
        perceptual: weight of the distance of VGG-19 features.
        gradient: weight of the distance of image gradients.
        adversarial: weight of the adversarial loss.
        semantic: weight of the cross-entropy of the labels.
        exclusion: weight of the exclusion loss.
        batch_sum: sum the adversarial loss over the images of a batch, as released, instead of averaging it.
        void_is_background: treat pixels without a class as background, as released, instead of ignoring them.
    """

    pixel: float = 1.0
    perceptual: float = 0.0
    gradient: float = 0.0
    adversarial: float = 0.0
    semantic: float = 1.0
    exclusion: float = 0.0
    batch_sum: bool = False
    void_is_background: bool = False


RELEASED = Objective(adversarial=1.0, batch_sum=True, void_is_background=True)
"""The objective of the released code. It computes the other terms without gradients, and adds their weights to them."""

INTENDED = Objective(perceptual=0.1, gradient=1.0, adversarial=0.01)
"""The objective intended by its configuration, with VGG-19 instead of the generator's own features. The gradient weight
is our choice: the 100 in the configuration never had an effect, and the comment there is 1."""

PROFILES = {"intended": INTENDED, "released": RELEASED}


def layer_terms(
    objective: Objective,
    estimate: jax.Array,
    target: jax.Array,
    *,
    distance: jax.Array | None = None,
    scores: jax.Array | None = None,
    batch_size: int = 1,
) -> dict[str, jax.Array]:
    """Computes the weighted terms of one layer: `pixel`, and `gradient`, `perceptual`, `adversarial` if not 0.

    Args:
        objective: weights, for example one of `PROFILES`.
        estimate: [B, H, W, 3] images in [-1, 1], H and W at least 8.
        target: target of the same shape and range.
        distance: [] distance of VGG features, to which the L1 of the images is added; None to omit `perceptual`.
        scores: [B, ...] probabilities of the discriminator for the estimate; None to omit `adversarial`.
        batch_size: number of images on all devices, over which `batch_sum` sums.

    Returns:
        Scalars by name.
    """
    error = l1(estimate, target)
    terms = {"pixel": objective.pixel * error}
    if objective.gradient > 0:
        # The mean of both directions; `multiscale_gradient_l1` is their sum.
        terms["gradient"] = 0.5 * objective.gradient * multiscale_gradient_l1(estimate, target)
    if objective.perceptual > 0 and distance is not None:
        terms["perceptual"] = objective.perceptual * (distance + error)
    if objective.adversarial > 0 and scores is not None:
        images = batch_size if objective.batch_sum else 1
        terms["adversarial"] = objective.adversarial * images * least_squares_generator(scores)
    return terms
