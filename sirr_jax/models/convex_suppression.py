"""Reflection suppression by convex optimization, in closed form (Yang, Ma, Zheng, Cai and Xu, CVPR 2019)."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.fft import dctn, idctn


@jax.jit
def suppress(image: jax.Array, *, threshold: float | jax.Array = 0.033, epsilon: float | jax.Array = 1e-8) -> jax.Array:
    """Removes the weak gradients of an image, which include those of a blurred reflection.

    "Fast single image reflection suppression via convex optimization": for each color channel Y, with G its gradients
    longer than the threshold, solves L(L T - div G) + epsilon (T - Y) = 0 for T, where L is the Laplacian with mirrored
    borders. The discrete cosine transform diagonalizes L. Baselines specification, section 1.

    Args:
        image: images [B, H, W, C] in [0, 1], float32.
        threshold: largest length of the gradients (differences of neighbors) that are set to 0. The authors choose it
            by eye for each photograph; their example has 0.033.
        epsilon: weight of the data term, which makes the mean of T that of Y.

    Returns:
        T, of the same shape, not clipped: it can leave [0, 1]. The authors clip it for display.
    """
    across = jnp.diff(image, axis=2, append=image[:, :, -1:])
    down = jnp.diff(image, axis=1, append=image[:, -1:])
    weak = jnp.sqrt(jnp.square(across) + jnp.square(down)) <= threshold
    removed = _divergence(jnp.where(weak, across, 0.0), jnp.where(weak, down, 0.0))
    rows, columns = _eigenvalues(image.shape[1]), _eigenvalues(image.shape[2])
    kappa = rows[None, :, None, None] + columns[None, None, :, None]
    # As div G = L Y - removed, T - Y is a multiple of `removed` at each frequency. Transforming only `removed` keeps
    # rounding errors small: solving for T itself divides those of the whole image by kappa and epsilon.
    spectrum = dctn(removed, axes=(1, 2), norm="ortho") * (kappa / (jnp.square(kappa) + epsilon))
    return image - idctn(spectrum, axes=(1, 2), norm="ortho")


def _divergence(across: jax.Array, down: jax.Array) -> jax.Array:
    """Sums the backward differences of both directions, with 0 before the first entries."""
    left = jnp.pad(across, ((0, 0), (0, 0), (1, 0), (0, 0)))
    above = jnp.pad(down, ((0, 0), (1, 0), (0, 0), (0, 0)))
    return jnp.diff(left, axis=2) + jnp.diff(above, axis=1)


def _eigenvalues(size: int) -> jax.Array:
    """Returns the eigenvalues of the second difference with mirrored borders: 2 cos(pi k / size) - 2."""
    # In float64 and without cancellation, because the small eigenvalues matter most.
    return jnp.asarray(-4 * np.sin(np.pi * np.arange(size) / (2 * size)) ** 2, jnp.float32)
