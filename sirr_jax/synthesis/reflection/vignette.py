"""The mask by which Zhang et al. let a reflection fade towards one side."""

from __future__ import annotations

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np

from sirr_jax.errors import UserError
from sirr_jax.synthesis.ops.random_values import categorical

MASK_SIDE = 560
"""Pixels of the published mask, each way."""

LARGEST_WINDOW = MASK_SIDE - 11
"""Pixels of the largest image for which the published offsets, 0 to 560 - side - 11, are not empty."""


@functools.lru_cache(maxsize=1)
def vignette_profile() -> np.ndarray:
    """The mask V along either axis: V[i, j] = profile[i] profile[j].

    V is proportional to sqrt(k_i k_j), k being the masses of 560 bins of a standard normal distribution between
    -3.00625 and 3.00625, and has its largest value 1 in the middle: about exp(-(x^2 + y^2) / 4).

    Returns:
        [560] float64 in (0, 1], read-only.
    """
    edges = np.linspace(-3.00625, 3.00625, MASK_SIDE + 1)
    mass = np.diff([0.5 * math.erf(edge / math.sqrt(2.0)) for edge in edges])
    profile = np.sqrt(mass / mass.max())
    profile.flags.writeable = False
    return profile


def draw_offset(share: jax.Array, height: int, width: int, *, longer_side: int | None) -> jax.Array:
    """Draws where in the mask an image lies.

    Args:
        share: [2] in [0, 1).
        height: rows of the image.
        width: columns of the image.
        longer_side: see `vignette`.

    Returns:
        [2] int32, y before x: whole pixels of the mask, from 0 to 560 - side - 11, both included.

    Raises:
        UserError: if the image does not fit into the mask.
    """
    scale = _scale(height, width, longer_side)
    window = [math.ceil(side * scale) for side in (height, width)]
    if max(window) > LARGEST_WINDOW:
        raise UserError(
            f"an image of {height} x {width} pixels does not fit into Zhang's vignette, which takes at most "
            f"{LARGEST_WINDOW} a side: set vignette_side to a number of its pixels (256) to stretch it over the image"
        )
    return jnp.stack([categorical(share[axis], (1.0,) * (MASK_SIDE - 10 - window[axis])) for axis in (0, 1)])


def vignette(offset: jax.Array, height: int, width: int, *, longer_side: int | None) -> jax.Array:
    """The mask as an image sees it.

    Args:
        offset: [2] int32, y before x, of `draw_offset`.
        height: rows of the image.
        width: columns of the image.
        longer_side: how many pixels of the mask the longer side of the image covers; the mask is interpolated
            linearly. None: one pixel of the mask for each of the image, as published.

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
