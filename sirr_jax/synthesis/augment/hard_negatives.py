"""Hard negatives: defocus, haze and mirror reflections in water. They resemble reflections in glass.

A few hundred photographs contain few of them, so a network trained on those removes them.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from sirr_jax.synthesis.ops.blur import gaussian_blur, gaussian_kernel
from sirr_jax.synthesis.ops.grid import pixel_grid
from sirr_jax.synthesis.ops.random_values import categorical, lerp, log_lerp, normal, uniforms
from sirr_jax.synthesis.ops.smooth_fields import FIELD_TERMS, random_field, smooth_mask

SHARES = (0.5, 0.35, 0.15)
"""Default probabilities of defocus, haze and a mirror reflection."""

_TAPS = 25


def add_hard_negative(
    key: jax.Array, image: jax.Array, *, probabilities: tuple[float, float, float] = SHARES
) -> jax.Array:
    """Adds defocus, haze or a mirror reflection in water to a photograph.

    * soft: blurred by a Gaussian of 0.7 to 5 px, half of the time everywhere, else within a smooth mask;
    * hazy: t x + (1 - t) a; the airlight a is a nearly neutral gray of 0.45 to 0.95; t falls from 1 at the top to a
      value drawn from 0.3 to 0.9 at the bottom, modulated by a smooth field;
    * mirrored: below a row at 0.5 to 0.7 of the height, the mirror image of the part above it, blurred and 0.5 to 1
      times as bright.

    Args:
        key: PRNG key.
        image: [H, W, 3] in [0, 1], upright, at least 13 pixels a side.
        probabilities: probabilities of soft, hazy and mirrored, in this order. Static.

    Returns:
        [H, W, 3] in [0, 1], upright. Rotate and flip afterwards.
    """
    height, width, _ = image.shape
    uniform, tint, noise = uniforms(key, (7,), (1, 1, 3), (FIELD_TERMS, FIELD_TERMS, 1))
    points = pixel_grid(height, width) / jnp.asarray([width, height], jnp.float32)[None, None]
    field = smooth_mask(random_field(normal(noise)), points, jnp.asarray([0.0, 1.0]))

    sigma = log_lerp(uniform[0], 0.7, 5.0)
    blurred = gaussian_blur(image, gaussian_kernel(sigma, jnp.ceil(2.4 * sigma), taps=_TAPS))
    # A steep mask: objects are either in focus or not.
    out_of_focus = jnp.where(uniform[1] < 0.5, 1.0, jnp.clip(4.0 * field - 1.5, 0.0, 1.0))
    soft = image + out_of_focus * (blurred - image)

    depth = jnp.clip(points[..., 1:] + 0.6 * (field - 0.5), 0.0, 1.0)
    clear = 1.0 - (1.0 - lerp(uniform[2], 0.3, 0.9)) * depth
    air = jnp.clip(lerp(uniform[3], 0.45, 0.95) + lerp(tint, -0.05, 0.05), 0.0, 1.0)
    hazy = clear * image + (1.0 - clear) * air

    shore = jnp.round(lerp(uniform[4], 0.5, 0.7) * height).astype(jnp.int32)
    row = jnp.arange(height)
    source = jnp.where(row < shore, row, jnp.maximum(2 * shore - 1 - row, 0))
    water = (row >= shore)[:, None, None]
    mirrored = jnp.where(water, lerp(uniform[5], 0.5, 1.0) * blurred[source], image)

    kind = categorical(uniform[6], probabilities)
    return jnp.clip(jnp.stack([soft, hazy, mirrored])[kind], 0.0, 1.0)  # weights sum to 1 only up to rounding
