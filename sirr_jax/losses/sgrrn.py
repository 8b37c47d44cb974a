"""SGRRN's generator loss, as released and as meant (SGRRN specification, section 7)."""

from __future__ import annotations

from typing import NamedTuple

import jax

from sirr_jax.losses.adversarial import least_squares_generator
from sirr_jax.losses.pixel import l1, multiscale_gradient_l1


class Objective(NamedTuple):
    """Weights of the terms, each of the first four for both layers, and how two of them are taken.

    Attributes:
        pixel: weight of the mean absolute error.
        perceptual: of the distance of VGG-19 features.
        gradient: of the gradients' distance.
        adversarial: of the discriminators' verdicts.
        semantic: of the labels' cross-entropy.
        exclusion: of edges that both layers have.
        batch_sum: sum the verdicts over the images of a batch, as released, where else their mean is taken.
        void_is_background: pixels without a class count as background, as released, where else they are ignored.
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
"""What the released code trains. It computes the other terms without gradients, and adds their weights to them."""

INTENDED = Objective(perceptual=0.1, gradient=1.0, adversarial=0.01)
"""What its configuration means, with VGG-19 in the place of the generator's own features. The weight of the gradients
is ours: the 100 in the configuration never had an effect, and its comment says 1."""

PROFILES = {"intended": INTENDED, "released": RELEASED}


def layer_terms(
    objective: Objective,
    estimate: jax.Array,
    target: jax.Array,
    *,
    distance: jax.Array | None = None,
    verdict: jax.Array | None = None,
    batch_size: int = 1,
) -> dict[str, jax.Array]:
    """The weighted terms of one layer whose weights are not 0: `pixel`, `gradient`, `perceptual`, `adversarial`.

    Args:
        objective: one of `PROFILES` or another.
        estimate: [B, H, W, 3] in [-1, 1], H and W at least 8.
        target: the same shape and range.
        distance: of the VGG features; None to leave `perceptual` out. The images' own L1 is added to it.
        verdict: the discriminator's probabilities [B, ...] of the estimate; None to leave `adversarial` out.
        batch_size: number of images of all devices, over which `batch_sum` sums.
    """
    error = l1(estimate, target)
    terms = {"pixel": objective.pixel * error}
    if objective.gradient > 0:
        # The mean of both directions, where `multiscale_gradient_l1` has the sum.
        terms["gradient"] = 0.5 * objective.gradient * multiscale_gradient_l1(estimate, target)
    if objective.perceptual > 0 and distance is not None:
        terms["perceptual"] = objective.perceptual * (distance + error)
    if objective.adversarial > 0 and verdict is not None:
        images = batch_size if objective.batch_sum else 1
        terms["adversarial"] = objective.adversarial * images * least_squares_generator(verdict)
    return terms
