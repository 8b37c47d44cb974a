"""Random changes of color and exposure, on the device."""

from __future__ import annotations

import jax
import jax.numpy as jnp


def jitter_color(key: jax.Array, image: jax.Array, *, strength: float) -> jax.Array:
    """Changes white balance, exposure, contrast and palette of one image.

    Args:
        key: PRNG key.
        image: [..., H, W, 3] in [0, 1].
        strength: strength from 0 (unchanged) to 1. At 1, every channel is mapped by a curve a x^g, where log a and
            log g are the sum of two values from U(-0.35, 0.35), one common to the channels and one per channel; in
            half of the images the channels are permuted first. Gray photographs become tinted.

    Returns:
        The same shape, in [0, 1].
    """
    common_key, channel_key, swap_key, order_key = jax.random.split(key, 4)
    # Few photographs have few palettes; permuted channels give six times as many.
    permuted = image[..., jax.random.permutation(order_key, 3)]
    image = jnp.where(jax.random.bernoulli(swap_key, 0.5 * strength), permuted, image)
    common = jax.random.uniform(common_key, (2, 1), minval=-0.35, maxval=0.35)
    gain, exponent = jnp.exp(strength * (common + jax.random.uniform(channel_key, (2, 3), minval=-0.35, maxval=0.35)))
    leading = (1,) * (image.ndim - 1)
    # The floor keeps the logarithm inside the power finite at black.
    curved = jnp.maximum(image, 1e-6) ** exponent.reshape(*leading, 3) * gain.reshape(*leading, 3)
    return jnp.clip(curved, 0.0, 1.0)
