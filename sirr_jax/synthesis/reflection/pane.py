"""A flat pane of glass: what it reflects, absorbs and lets through, by the angle of the light.

Source: benchmark specification, section 4.7; Zheng et al. 2021.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp


class PaneWeights(NamedTuple):
    """Shares of the light, all of one shape and in [0, 1]; their sum is at most 1, and 1 without absorption.

    Attributes:
        transmitted: of the light from behind the pane.
        front: of the light from before the pane, thrown back by its front surface.
        back: of the light from before the pane, thrown back by its back surface, once or more often.
    """

    transmitted: jax.Array
    front: jax.Array
    back: jax.Array


def incidence_cosine(height: int, width: int, field_of_view: jax.Array, tilt: jax.Array) -> jax.Array:
    """The cosine of the angle between each pixel's ray and the normal of the pane.

    Args:
        height: rows of the image.
        width: columns of the image.
        field_of_view: [] radians across the width, of a pinhole camera.
        tilt: [2] radians by which the pane is turned about the vertical and about the horizontal axis; 0 faces the
            camera.

    Returns:
        [H, W] in [0, 1].
    """
    focal = 0.5 * width / jnp.tan(0.5 * field_of_view)
    x = ((jnp.arange(width, dtype=jnp.float32) + 0.5 - 0.5 * width) / focal)[None, :]
    y = ((jnp.arange(height, dtype=jnp.float32) + 0.5 - 0.5 * height) / focal)[:, None]
    sine, cosine = jnp.sin(tilt), jnp.cos(tilt)
    along = sine[0] * cosine[1] * x + sine[1] * y + cosine[0] * cosine[1]
    return jnp.minimum(jnp.abs(along) / jnp.sqrt(x * x + y * y + 1.0), 1.0)


def fresnel_reflectance(cosine: jax.Array, *, index: float) -> jax.Array:
    """The share of unpolarized light that a surface of glass throws back.

    The mean of Fresnel's two polarisations. It is the same from outside and, along the refracted ray, from inside.

    Args:
        cosine: of the angle of incidence in air, any shape, in [0, 1].
        index: of refraction of the glass, at least 1.

    Returns:
        The shape of `cosine`, in [0, 1].
    """
    inside = refracted_cosine(cosine, index=index)
    crossed = ((cosine - index * inside) / (cosine + index * inside)) ** 2
    parallel = ((index * cosine - inside) / (index * cosine + inside)) ** 2
    return 0.5 * (crossed + parallel)


def refracted_cosine(cosine: jax.Array, *, index: float) -> jax.Array:
    """The cosine of the angle inside the glass, by Snell's law.

    Args:
        cosine: of the angle of incidence in air, any shape, in [0, 1].
        index: of refraction of the glass, at least 1.

    Returns:
        The shape of `cosine`, in [0, 1].
    """
    return jnp.sqrt(jnp.maximum(1.0 - (1.0 - cosine * cosine) / index**2, 0.0))


def pane_weights(cosine: jax.Array, depth: jax.Array, *, index: float) -> PaneWeights:
    """What a pane does to light, all its inner reflections summed.

    With the reflectance r of a surface and the transmission a = exp(-depth / cos(angle inside)) of one passage,
    (1 - r)^2 a / (1 - r^2 a^2) goes through, r comes back from the front, r (1 - r)^2 a^2 / (1 - r^2 a^2) from the
    back.

    Args:
        cosine: of the angle of incidence, any shape, in [0, 1].
        depth: [] absorption coefficient times thickness, at least 0.
        index: of refraction of the glass, above 1.

    Returns:
        The three shares.
    """
    reflected = fresnel_reflectance(cosine, index=index)
    passed = jnp.exp(-depth / refracted_cosine(cosine, index=index))
    # Grazing light is all reflected: the floor keeps 0 / 0 out where nothing is absorbed either.
    through = (1.0 - reflected) ** 2 * passed / jnp.maximum(1.0 - (reflected * passed) ** 2, 1e-12)
    return PaneWeights(through, reflected, reflected * passed * through)
