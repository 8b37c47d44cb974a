"""The vignette by which a reflection fades towards one side in the model of Zhang et al.

The published mask has 560 x 560 pixels. `vignette` crops it pixel by pixel, as published. `smooth_profile` is the same
Gaussian in closed form, at real-valued positions; the multi-view generator uses it, at another scale.
"""

from __future__ import annotations

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np

from sirr_jax.errors import UserError
from sirr_jax.synthesis.ops.random_values import categorical

MASK_SIDE = 560
"""Side of the published mask in pixels."""

OFFSET_END = MASK_SIDE - 10
"""Exclusive upper end of offset + image side, in pixels of the mask: published offsets are 0 to 560 - side - 11."""

LARGEST_WINDOW = OFFSET_END - 1
"""Side in pixels of the largest image for which the published range of offsets is not empty."""


@functools.lru_cache(maxsize=1)
def vignette_profile() -> np.ndarray:
    """Returns the mask V along either axis: V[i, j] = profile[i] profile[j].

    V is proportional to sqrt(k_i k_j), where k are the masses of 560 bins of a standard normal distribution between
    -3.00625 and 3.00625. Its largest value is 1, in the middle: V is about exp(-(x^2 + y^2) / 4).

    Returns:
        [560] float64 in (0, 1], read-only.
    """
    edges = np.linspace(-3.00625, 3.00625, MASK_SIDE + 1)
    mass = np.diff([0.5 * math.erf(edge / math.sqrt(2.0)) for edge in edges])
    profile = np.sqrt(mass / mass.max())
    profile.flags.writeable = False
    return profile


def smooth_profile(position: jax.Array) -> jax.Array:
    """Evaluates the mask along either axis in closed form: exp(-x^2 / 4), x from -3 to 3 over the mask.

    It differs from `vignette_profile` by less than 2e-3.

    Args:
        position: any shape, pixels of the mask from its edge: pixel k covers k to k + 1.

    Returns:
        The same shape, in (0, 1].
    """
    coordinate = 6.0 * position / MASK_SIDE - 3.0
    return jnp.exp(-0.25 * coordinate * coordinate)


def draw_offset(uniform: jax.Array, height: int, width: int, *, longer_side: int | None) -> jax.Array:
    """Draws the position of an image in the mask.

    Args:
        uniform: [2] in [0, 1).
        height: number of rows of the image.
        width: number of columns of the image.
        longer_side: see `vignette`.

    Returns:
        [2] int32, y before x, whole pixels of the mask from 0 to 560 - side - 11 inclusive.

    Raises:
        UserError: The image does not fit into the mask.
    """
    scale = _scale(height, width, longer_side)
    window = [math.ceil(side * scale) for side in (height, width)]
    if max(window) > LARGEST_WINDOW:
        raise UserError(
            f"an image of {height} x {width} pixels does not fit into Zhang's vignette, which takes at most "
            f"{LARGEST_WINDOW} a side: set vignette_side to a number of its pixels (256) to stretch it over the image"
        )
    return jnp.stack([categorical(uniform[axis], (1.0,) * (OFFSET_END - window[axis])) for axis in (0, 1)])


def vignette(offset: jax.Array, height: int, width: int, *, longer_side: int | None) -> jax.Array:
    """Crops the mask to an image.

    Args:
        offset: [2] int32, y before x, from `draw_offset`.
        height: number of rows of the image.
        width: number of columns of the image.
        longer_side: number of mask pixels covered by the longer side of the image; the mask is interpolated linearly.
            None: one pixel of the mask per pixel of the image, as published.

    Returns:
        [H, W] in (0, 1].
    """
    scale = _scale(height, width, longer_side)
    profile = jnp.asarray(vignette_profile(), jnp.float32)
    position = jnp.arange(MASK_SIDE, dtype=jnp.float32)

    def along(axis: int, count: int) -> jax.Array:
        middle = (jnp.arange(count, dtype=jnp.float32) + 0.5) * scale - 0.5
        return jnp.interp(middle + offset[axis].astype(jnp.float32), position, profile)

    return along(0, height)[:, None] * along(1, width)[None, :]


def _scale(height: int, width: int, longer_side: int | None) -> float:
    return 1.0 if longer_side is None else longer_side / max(height, width)
