"""Physics shared by the mixing models: blur widths, the excess over white, and the superposition of two layers.

The single-image models of this package and the branch-free mixer in `synthesis.multiview.mixing` both call these
functions.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np

from sirr_jax.synthesis.ops.blur import gaussian_blur, gaussian_kernel
from sirr_jax.synthesis.ops.random_values import categorical
from sirr_jax.synthesis.options import Range


def spaced_sigma(uniform: jax.Array, *, limits: Range, count: int) -> tuple[jax.Array, jax.Array]:
    """Chooses one of equally spaced widths of a Gaussian (benchmark specification, sections 4.3 and 4.4).

    Args:
        uniform: [] in [0, 1).
        limits: smallest and largest sigma in pixels. Static.
        count: number of widths. Static.

    Returns:
        sigma and the truncation radius ceil(2 sigma), each [] float32, in pixels.
    """
    sigmas = np.linspace(*limits, count)
    index = categorical(uniform, (1.0,) * count)
    # The radii are rounded up in double precision: 2 sigma is whole at the ends of the published range.
    return jnp.asarray(sigmas, jnp.float32)[index], jnp.asarray(np.ceil(2.0 * sigmas), jnp.float32)[index]


def blur(image: jax.Array, sigma: jax.Array, radius: jax.Array, *, reach: int, reflect: bool) -> jax.Array:
    """Blurs an image by a Gaussian whose width is known at run time.

    Args:
        image: [H, W, C].
        sigma: [] standard deviation in pixels, at least 0.
        radius: [] truncation radius in pixels, at most `reach`; 0 leaves the image unchanged.
        reach: largest radius. Static.
        reflect: pad by reflection about the outermost pixels if true, with zeros if false. Static.

    Returns:
        [H, W, C].
    """
    # Below a hundredth of a pixel the Gaussian is the identity; at 0 it would be 0 / 0.
    kernel = gaussian_kernel(jnp.maximum(sigma, 0.01), radius, taps=2 * reach + 1)
    return gaussian_blur(image, kernel, reflect=reflect)


def reach_of(limits: Range) -> int:
    """Returns the largest truncation radius of a range of widths.

    Args:
        limits: smallest and largest sigma in pixels.

    Returns:
        ceil(2 sigma) of the largest sigma, in pixels.
    """
    return math.ceil(2.0 * limits[1])


def sums_above_white(blend: jax.Array, *, axes: tuple[int, ...]) -> tuple[jax.Array, jax.Array]:
    """Sums and counts the entries above 1.

    Args:
        blend: [H, W, 3], sum of two layers, at least 0.
        axes: axes that are summed. Static.

    Returns:
        The sum of the entries above 1, and their number; [3] for axes (0, 1), [] for axes (0, 1, 2).
    """
    over = (blend > 1.0).astype(blend.dtype)
    return jnp.sum(blend * over, axis=axes), jnp.sum(over, axis=axes)


def mean_excess(total: jax.Array, count: jax.Array) -> jax.Array:
    """Returns by how much entries above 1 exceed it on average: max(1, total / (count + 1e-6)) - 1.

    Args:
        total: sum of the entries above 1, any shape.
        count: their number, the same shape.

    Returns:
        The same shape; 0 where no entry exceeds 1.
    """
    return jnp.maximum(total / (count + 1e-6), 1.0) - 1.0


def excess(blend: jax.Array, *, per_channel: bool) -> jax.Array:
    """Returns the mean excess of a blend over white.

    Args:
        blend: [H, W, 3], sum of two layers, at least 0.
        per_channel: one mean per channel (Zhang et al.) if true, one of all entries (CEILNet) if false. Static.

    Returns:
        [3] if `per_channel`, else []; 0 where no entry exceeds 1.
    """
    return mean_excess(*sums_above_white(blend, axes=(0, 1) if per_channel else (0, 1, 2)))


def subtract_excess(blurred: jax.Array, subtracted: jax.Array, ceiling: jax.Array | float = 1.0) -> jax.Array:
    """Subtracts what exceeds white from the blurred reflection.

    Args:
        blurred: [..., H, W, 3], at least 0.
        subtracted: amount, of a shape that broadcasts against `blurred`.
        ceiling: upper limit of the result.

    Returns:
        [..., H, W, 3] from 0 to `ceiling`.
    """
    return jnp.clip(blurred - subtracted, 0.0, ceiling)


def superpose(direct: jax.Array, residual: jax.Array, overlap: jax.Array | None = None) -> jax.Array:
    """Adds the residual reflection to the attenuated transmission, in the light in which the model adds.

    Args:
        direct: [..., H, W, 3], transmission after attenuation.
        residual: reflection as it appears in the mixture, the same shape.
        overlap: amount subtracted from the sum, the same shape; for the screen blend, the product of the two layers.
            None for a plain sum.

    Returns:
        [..., H, W, 3] in [0, 1].
    """
    light = direct + residual
    return jnp.clip(light if overlap is None else light - overlap, 0.0, 1.0)
