"""Relativistic average GAN losses (Jolicoeur-Martineau 2018), as ERRNet uses them."""

from __future__ import annotations

import jax
import jax.numpy as jnp


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
