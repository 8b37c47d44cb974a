"""Random changes of colour and exposure, on the device."""

from __future__ import annotations

import jax
import jax.numpy as jnp


def jitter_colour(key: jax.Array, image: jax.Array, *, strength: float) -> jax.Array:
    """Change white balance, exposure and contrast of one image.

    Args:
        key: PRNG key.
        image: [..., H, W, 3] in [0, 1].
        strength: 0 leaves the image alone; at 1 the channels' gains are e^U(-0.35, 0.35) together and e^U(-0.25, 0.25)
            each, the exponent e^U(-0.35, 0.35), and every second image has its channels permuted.

    Returns:
        The image in [0, 1].
    """
    common, channel, exponent, swap, order = jax.random.split(key, 5)
    # Few photographs mean few palettes; swapped channels give six times as many.
    permuted = image[..., jax.random.permutation(order, 3)]
    image = jnp.where(jax.random.bernoulli(swap, 0.5 * strength), permuted, image)
    gain = jax.random.uniform(common, (1,), minval=-0.35, maxval=0.35)
    gain += jax.random.uniform(channel, (3,), minval=-0.25, maxval=0.25)
    gamma = jnp.exp(strength * jax.random.uniform(exponent, minval=-0.35, maxval=0.35))
    leading = (1,) * (image.ndim - 1)
    # The floor keeps the power's gradient and logarithm finite in black.
    changed = jnp.maximum(image, 1e-6) ** gamma * jnp.exp(strength * gain).reshape(*leading, 3)
    return jnp.clip(changed, 0.0, 1.0)
