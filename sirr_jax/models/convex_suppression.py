"""Reflection suppression in closed form (Yang, Ma, Zheng, Cai and Xu, CVPR 2019)."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.fft import dctn, idctn


@jax.jit
def suppress(image: jax.Array, *, threshold: float | jax.Array = 0.033, epsilon: float | jax.Array = 1e-8) -> jax.Array:
    """Remove the weak gradients of an image, among which are those of a blurred reflection.

    "Fast single image reflection suppression via convex optimization": of every color channel Y it keeps the gradients
    G that are long enough and finds the T for which L(L T - div G) + epsilon (T - Y) = 0, L being the Laplacian under
    mirrored borders. The discrete cosine transform makes L a multiplication. Baselines specification, section 1.

    Args:
        image: [B, H, W, C] in [0, 1], float32.
        threshold: gradients (differences of neighbors) of at most this length are set to 0. The authors choose it by
            eye for each photograph; their example has 0.033.
        epsilon: how much T is drawn to Y; it settles the mean of T, which is that of Y.

    Returns:
        T, of the same shape. It can leave [0, 1] and is not clipped; the authors clip it when they show or save it.
    """
    across = jnp.diff(image, axis=2, append=image[:, :, -1:])
    down = jnp.diff(image, axis=1, append=image[:, -1:])
    weak = jnp.sqrt(jnp.square(across) + jnp.square(down)) <= threshold
    removed = _divergence(jnp.where(weak, across, 0.0), jnp.where(weak, down, 0.0))
    rows, columns = _eigenvalues(image.shape[1]), _eigenvalues(image.shape[2])
    kappa = rows[None, :, None, None] + columns[None, None, :, None]
    # As div G = L Y - removed, T - Y is a multiple of `removed` at each frequency. Transforming that alone keeps the
    # rounding small: solving for T itself divides the rounding of the whole image by kappa and epsilon.
    spectrum = dctn(removed, axes=(1, 2), norm="ortho") * (kappa / (jnp.square(kappa) + epsilon))
    return image - idctn(spectrum, axes=(1, 2), norm="ortho")


def _divergence(across: jax.Array, down: jax.Array) -> jax.Array:
    """Differences to the entries before, where before the first there is 0."""
    left = jnp.pad(across, ((0, 0), (0, 0), (1, 0), (0, 0)))
    above = jnp.pad(down, ((0, 0), (1, 0), (0, 0), (0, 0)))
    return jnp.diff(left, axis=2) + jnp.diff(above, axis=1)


def _eigenvalues(size: int) -> jax.Array:
    """Those of the second difference over `size` entries with mirrored borders: 2 cos(pi k / size) - 2."""
    # In float64, and in a form without cancellation: the small ones matter most.
    return jnp.asarray(-4 * np.sin(np.pi * np.arange(size) / (2 * size)) ** 2, jnp.float32)
