"""What the models have in common: widths of blurs, and the brightness that exceeds white."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np

from sirr_jax.synthesis.multiview.options import Range
from sirr_jax.synthesis.ops.blur import gaussian_blur, gaussian_kernel
from sirr_jax.synthesis.ops.random_values import categorical


def spaced_sigma(share: jax.Array, *, limits: Range, count: int) -> tuple[jax.Array, jax.Array]:
    """Chooses one of equally spaced widths of a Gaussian (benchmark specification, sections 4.3 and 4.4).

    Args:
        share: [] in [0, 1).
        limits: least and largest sigma, pixels. Static.
        count: of the widths. Static.

    Returns:
        sigma and the radius at which the kernel is cut off, ceil(2 sigma), each [] float32.
    """
    sigmas = np.linspace(*limits, count)
    chosen = categorical(share, (1.0,) * count)
    # The radii are rounded up in double precision: 2 sigma is whole at the ends of the published range.
    return jnp.asarray(sigmas, jnp.float32)[chosen], jnp.asarray(np.ceil(2.0 * sigmas), jnp.float32)[chosen]


def blur(image: jax.Array, sigma: jax.Array, radius: jax.Array, *, reach: int, reflect: bool) -> jax.Array:
    """Blurs an image by a Gaussian of run-time width.

    Args:
        image: [H, W, C].
        sigma: [] pixels, at least 0.
        radius: [] pixels, at which the kernel is cut off, at most `reach`; 0 leaves the image alone.
        reach: largest radius. Static.
        reflect: whether the image is continued mirrored about its outermost pixels, or by zeros. Static.

    Returns:
        [H, W, C].
    """
    # Below a hundredth of a pixel the Gaussian is the identity; at 0 it would be 0 / 0.
    kernel = gaussian_kernel(jnp.maximum(sigma, 0.01), radius, taps=2 * reach + 1)
    return gaussian_blur(image, kernel, reflect=reflect)


def reach_of(limits: Range) -> int:
    """The largest radius ceil(2 sigma) of a range of widths."""
    return math.ceil(2.0 * limits[1])


def excess(blend: jax.Array, *, per_channel: bool) -> jax.Array:
    """By how much the entries above 1 exceed it on average: max(1, sum(b [b > 1]) / (count + 1e-6)) - 1.

    Args:
        blend: [H, W, 3], at least 0.
        per_channel: a mean for each channel (Zhang et al.), or one of all entries (CEILNet).

    Returns:
        [3] if `per_channel`, else []; 0 where nothing exceeds 1.
    """
    axes = (0, 1) if per_channel else (0, 1, 2)
    over = (blend > 1.0).astype(blend.dtype)
    mean = jnp.sum(blend * over, axis=axes) / (jnp.sum(over, axis=axes) + 1e-6)
    return jnp.maximum(mean, 1.0) - 1.0
