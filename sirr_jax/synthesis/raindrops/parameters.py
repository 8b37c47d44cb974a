"""Random parameters of the drops on one pane."""

from __future__ import annotations

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from sirr_jax.synthesis.ops.random_values import lerp, log_lerp, uniforms
from sirr_jax.synthesis.raindrops.options import RaindropOptions

LOBES = 2
"""Shapes per drop: one round shape, or two merged ones."""

WAVES = 4
"""Waves along the outline, of two to five periods."""


class RaindropParameters(NamedTuple):
    """Everything that determines the appearance of the drops on one pane; N is the largest number of drops.

    Lengths are in pixels, positions x before y, y down.

    Attributes:
        present: [N] bool, true where the drop exists.
        center: [N, LOBES, 2] center of each lobe; pixel (0, 0) is at the origin.
        radius: [N, LOBES] mean radius; 0 for a second lobe that does not exist.
        frame: [N, 2, 2] map from offsets in pixels to offsets along the two axes of the drop, without its elongation.
        waves: [N, LOBES, WAVES, 2] relative cosine and sine amplitudes of the outline's waves of 2, 3, ... periods.
        view: [N, 2] distance along each axis between a drop and the part of the scene shown at its rim.
        defocus: [] radius of the circle of confusion.
        brightness: [] factor on the light through drops.
        ambient: [] weight of the sky in the drops' view.
        rim: [] relative darkening at the rim.
        highlight: [] peak of the highlight in linear light.
        light: [2] position of the highlight in a drop of radius 1.
    """

    present: jax.Array
    center: jax.Array
    radius: jax.Array
    frame: jax.Array
    waves: jax.Array
    view: jax.Array
    defocus: jax.Array
    brightness: jax.Array
    ambient: jax.Array
    rim: jax.Array
    highlight: jax.Array
    light: jax.Array


def draw_raindrops(key: jax.Array, height: int, width: int, *, options: RaindropOptions) -> RaindropParameters:
    """Draws the drops on one pane.

    Args:
        key: PRNG key.
        height: number of rows of the image.
        width: number of columns of the image.
        options: ranges and probabilities. Static.

    Returns:
        The parameters of `options.count[1]` drops, of which the first few are present.
    """
    side = float(min(height, width))
    drops = options.count[1]
    pane, place, shape, outline = uniforms(key, (9,), (drops, 3), (drops, 8), (drops, LOBES, WAVES, 2))

    low, high = options.count
    number = low + jnp.floor(pane[0] * (high - low + 1)).astype(jnp.int32)
    radius = side * log_lerp(place[:, 0], *options.radius)
    # Beyond the border too, so that drops cut off by it are as frequent as drops elsewhere.
    reach = radius[:, None]
    size = jnp.asarray([[width, height]], jnp.float32)
    center = lerp(place[:, 1:], -reach, size - 1.0 + reach)

    joined = shape[:, 0] < options.joined_probability
    second = jnp.where(joined, radius * lerp(shape[:, 1], 0.45, 0.9), 0.0)
    # Water runs down: most drops merge with one below or above.
    angle = 0.5 * math.pi + lerp(shape[:, 2], -1.2, 1.2)
    distance = (radius + second) * lerp(shape[:, 3], 0.4, 0.75)
    direction = jnp.stack([jnp.cos(angle), jnp.sin(angle)], axis=-1)
    sign = jnp.where(shape[:, 4] < 0.5, 1.0, -1.0)
    centers = jnp.stack([center, center + (sign * distance)[:, None] * direction], axis=1)

    tilt = lerp(shape[:, 5], -0.4, 0.4)
    stretch = jnp.sqrt(lerp(shape[:, 6], *options.elongation))
    across = jnp.stack([jnp.cos(tilt), jnp.sin(tilt)], axis=-1) * stretch[:, None]
    along = jnp.stack([-jnp.sin(tilt), jnp.cos(tilt)], axis=-1) / stretch[:, None]

    roughness = lerp(shape[:, 7], *options.roughness)
    # Long waves dominate, because surface tension smooths short ones.
    falling = jnp.asarray([2.0 / (k + 2) for k in range(WAVES)], jnp.float32)
    waves = (2.0 * outline - 1.0) * falling[None, None, :, None] * roughness[:, None, None, None]

    turn = 2.0 * math.pi * pane[7]
    upper_left = jnp.stack([-0.3 + 0.25 * jnp.cos(turn), -0.4 + 0.25 * jnp.sin(turn)])
    view = side * lerp(pane[1], *options.view)
    return RaindropParameters(
        present=jnp.arange(drops) < number,
        center=centers,
        radius=jnp.stack([radius, second], axis=-1),
        frame=jnp.stack([across, along], axis=1),
        waves=waves,
        view=jnp.broadcast_to(view, (drops, 2)),
        defocus=side * lerp(pane[2], *options.defocus),
        brightness=lerp(pane[3], *options.brightness),
        ambient=lerp(pane[4], *options.ambient),
        rim=lerp(pane[5], *options.rim),
        highlight=lerp(pane[6], *options.highlight),
        light=upper_left,
    )
