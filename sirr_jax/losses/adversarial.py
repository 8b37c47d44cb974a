"""GAN losses: binary cross-entropies (Goodfellow et al. 2014), relativistic averages, least squares.

Relativistic average losses (Jolicoeur-Martineau 2018) as ERRNet uses them; least squares (Mao et al. 2017) as SGRRN.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp


def cross_entropy(logits: jax.Array, *, real: bool) -> jax.Array:
    """Mean of -log p for the label real, of -log(1 - p) for the other; p is the sigmoid of the logits.

    Finite for all logits, where a loss of probabilities needs them clipped and then has no gradient.
    """
    return jax.nn.softplus(-logits if real else logits).mean()


def cross_entropy_discriminator(real: jax.Array, fake: jax.Array) -> jax.Array:
    """L_D from the logits on real and on restored images: -log p(real) - log(1 - p(fake)), each its mean."""
    return cross_entropy(real, real=True) + cross_entropy(fake, real=False)


def cross_entropy_generator(fake: jax.Array, *, saturating: bool = False) -> jax.Array:
    """L_G from the logits on restored images: the mean of -log p.

    Args:
        fake: the logits, any shape.
        saturating: use log(1 - p) instead, as papers write it: the gradient vanishes where the discriminator is sure.
    """
    return -cross_entropy(fake, real=False) if saturating else cross_entropy(fake, real=True)


def relativistic_discriminator(real: jax.Array, fake: jax.Array) -> jax.Array:
    """L_D from the discriminator's logits on real and on restored images, arrays of one shape.

    1/2 [BCE(real - mean fake, 1) + BCE(fake - mean real, 0)].
    """
    above = jax.nn.softplus(-(real - fake.mean())).mean()
    below = jax.nn.softplus(fake - real.mean()).mean()
    return 0.5 * (above + below)


def relativistic_generator(real: jax.Array, fake: jax.Array) -> jax.Array:
    """L_G: `relativistic_discriminator` with the labels swapped; the real logits carry no gradient."""
    return relativistic_discriminator(fake, jax.lax.stop_gradient(real))


def logit_margin(real: jax.Array, fake: jax.Array) -> jax.Array:
    """Mean logit difference between real and restored images: the discriminator's lead, for the log."""
    return jnp.mean(real) - jnp.mean(fake)


def least_squares_generator(fake: jax.Array) -> jax.Array:
    """L_G from verdicts on restored images (Mao et al. 2017): the mean of (D - 1)^2, `[B, ...]` of any shape."""
    return jnp.square(fake - 1.0).mean()


def least_squares_discriminator(real: jax.Array, fake: jax.Array) -> jax.Array:
    """L_D from verdicts on real and on restored images: mean (D(real) - 1)^2 + mean D(fake)^2."""
    return least_squares_generator(real) + jnp.square(fake).mean()
