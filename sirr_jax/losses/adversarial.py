"""GAN losses: binary cross-entropy, relativistic average, least squares.

Binary cross-entropy as in Goodfellow et al. 2014, the relativistic average (Jolicoeur-Martineau 2018) as in ERRNet,
least squares (Mao et al. 2017) as in SGRRN.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import jax
import jax.numpy as jnp


def cross_entropy(logits: jax.Array, *, real: bool) -> jax.Array:
    """Computes the mean binary cross-entropy with one label for all logits.

    It is -log p for the label real and -log(1 - p) for the label fake, where p is the sigmoid of the logits. It is
    finite for all logits; a loss of probabilities would have to clip them, and clipped values have no gradient.

    Args:
        logits: logits of a discriminator, any shape.
        real: label of all logits.

    Returns:
        float32 scalar.
    """
    return jax.nn.softplus(-logits if real else logits).mean()


def cross_entropy_discriminator(real: jax.Array, fake: jax.Array) -> jax.Array:
    """Computes L_D by cross-entropy: mean of -log p(real) plus mean of -log(1 - p(fake)).

    Args:
        real: logits on real images, any shape.
        fake: logits on restored images, any shape.

    Returns:
        float32 scalar.
    """
    return cross_entropy(real, real=True) + cross_entropy(fake, real=False)


def cross_entropy_generator(fake: jax.Array, *, saturating: bool = False) -> jax.Array:
    """Computes L_G by cross-entropy: mean of -log p(fake).

    Args:
        fake: logits on restored images, any shape.
        saturating: use log(1 - p) instead, as in papers; its gradient vanishes where the discriminator is certain.

    Returns:
        float32 scalar.
    """
    return -cross_entropy(fake, real=False) if saturating else cross_entropy(fake, real=True)


def relativistic_discriminator(real: jax.Array, fake: jax.Array) -> jax.Array:
    """Computes the relativistic average L_D: 1/2 [BCE(real - mean fake, 1) + BCE(fake - mean real, 0)].

    Args:
        real: logits on real images, any shape.
        fake: logits on restored images, the same shape.

    Returns:
        float32 scalar.
    """
    above = jax.nn.softplus(-(real - fake.mean())).mean()
    below = jax.nn.softplus(fake - real.mean()).mean()
    return 0.5 * (above + below)


def relativistic_generator(real: jax.Array, fake: jax.Array) -> jax.Array:
    """Computes the relativistic average L_G: `relativistic_discriminator` with swapped labels.

    Args:
        real: logits on real images, any shape; no gradient flows into them.
        fake: logits on restored images, the same shape.

    Returns:
        float32 scalar.
    """
    return relativistic_discriminator(fake, jax.lax.stop_gradient(real))


def logit_margin(real: jax.Array, fake: jax.Array) -> jax.Array:
    """Computes the mean logit difference between real and restored images, a metric of the discriminator.

    Args:
        real: logits on real images, any shape.
        fake: logits on restored images, any shape.

    Returns:
        float32 scalar.
    """
    return jnp.mean(real) - jnp.mean(fake)


def least_squares_generator(fake: jax.Array) -> jax.Array:
    """Computes the least-squares L_G (Mao et al. 2017): mean of (D(fake) - 1)^2.

    Args:
        fake: outputs of the discriminator on restored images, [B, ...] of any shape.

    Returns:
        float32 scalar.
    """
    return jnp.square(fake - 1.0).mean()


def least_squares_discriminator(real: jax.Array, fake: jax.Array) -> jax.Array:
    """Computes the least-squares L_D: mean of (D(real) - 1)^2 plus mean of D(fake)^2.

    Args:
        real: outputs of the discriminator on real images, [B, ...] of any shape.
        fake: outputs of the discriminator on restored images, [B, ...] of any shape.

    Returns:
        float32 scalar.
    """
    return least_squares_generator(real) + jnp.square(fake).mean()


class AdversarialLoss(NamedTuple):
    """The two losses of a GAN.

    Attributes:
        generator: L_G, `loss(real logits, fake logits)`, a scalar.
        discriminator: L_D, `loss(real logits, fake logits)`, a scalar.
    """

    generator: Callable[[jax.Array, jax.Array], jax.Array]
    discriminator: Callable[[jax.Array, jax.Array], jax.Array]


def _of_fake(loss: Callable[[jax.Array], jax.Array]) -> Callable[[jax.Array, jax.Array], jax.Array]:
    return lambda real, fake: loss(fake)  # noqa: ARG005


ADVERSARIAL_LOSSES: Mapping[str, AdversarialLoss] = MappingProxyType(
    {
        "cross_entropy": AdversarialLoss(_of_fake(cross_entropy_generator), cross_entropy_discriminator),
        "least_squares": AdversarialLoss(_of_fake(least_squares_generator), least_squares_discriminator),
        "relativistic": AdversarialLoss(relativistic_generator, relativistic_discriminator),
    }
)
"""GAN losses by name."""
