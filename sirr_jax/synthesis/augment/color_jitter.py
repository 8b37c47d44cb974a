"""Random changes of color and exposure, on the device."""

from __future__ import annotations

import jax
import jax.numpy as jnp


def jitter_color(key: jax.Array, image: jax.Array, *, strength: float) -> jax.Array:
    """Change white balance, exposure, contrast and palette of one image.

    Args:
        key: PRNG key.
        image: [..., H, W, 3] in [0, 1].
        strength: 0 leaves the image alone. At 1 every channel goes through a curve a x^g with log a and log g from
            U(-0.35, 0.35), common to the channels, plus as much of its own, and every second image has its channels
            permuted first. Gray photographs become tinted ones.

    Returns:
        The image in [0, 1].
    """
    curve, own, swap, order = jax.random.split(key, 4)
    # Few photographs mean few palettes; swapped channels give six times as many.
    permuted = image[..., jax.random.permutation(order, 3)]
    image = jnp.where(jax.random.bernoulli(swap, 0.5 * strength), permuted, image)
    common = jax.random.uniform(curve, (2, 1), minval=-0.35, maxval=0.35)
    gain, exponent = jnp.exp(strength * (common + jax.random.uniform(own, (2, 3), minval=-0.35, maxval=0.35)))
    leading = (1,) * (image.ndim - 1)
    # The floor keeps the logarithm inside the power finite in black.
    curved = jnp.maximum(image, 1e-6) ** exponent.reshape(*leading, 3) * gain.reshape(*leading, 3)
    return jnp.clip(curved, 0.0, 1.0)
