"""A flat pane of glass: reflection, absorption and transmission by the angle of incidence.

Source: benchmark specification, section 4.7; Zheng et al. 2021.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp


class PaneWeights(NamedTuple):
    """Fractions of the light, all of one shape and in [0, 1]; their sum is at most 1, and 1 without absorption.

    Attributes:
        transmitted: fraction of the light from behind the pane that is transmitted.
        front: fraction of the light in front of the pane that the front surface reflects.
        back: fraction of the light in front of the pane that the back surface reflects, once or more often.
    """

    transmitted: jax.Array
    front: jax.Array
    back: jax.Array


def incidence_cosine(height: int, width: int, field_of_view: jax.Array, tilt: jax.Array) -> jax.Array:
    """Computes the cosine of the angle between each pixel's ray and the normal of the pane.

    Args:
        height: number of rows of the image.
        width: number of columns of the image.
        field_of_view: [] horizontal field of view of a pinhole camera, radians.
        tilt: [2] rotation of the pane about the vertical and the horizontal axis, radians; at 0 the pane faces the
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
    """Computes the fraction of unpolarized light that a glass surface reflects.

    It is the mean over both polarizations, the same from outside and, along the refracted ray, from inside.

    Args:
        cosine: cosine of the angle of incidence in air, any shape, in [0, 1].
        index: refractive index of the glass, at least 1. Static.

    Returns:
        The shape of `cosine`, in [0, 1].
    """
    inside = refracted_cosine(cosine, index=index)
    crossed = ((cosine - index * inside) / (cosine + index * inside)) ** 2
    parallel = ((index * cosine - inside) / (index * cosine + inside)) ** 2
    return 0.5 * (crossed + parallel)


def refracted_cosine(cosine: jax.Array, *, index: float) -> jax.Array:
    """Computes the cosine of the angle inside the glass by Snell's law.

    Args:
        cosine: cosine of the angle of incidence in air, any shape, in [0, 1].
        index: refractive index of the glass, at least 1. Static.

    Returns:
        The shape of `cosine`, in [0, 1].
    """
    return jnp.sqrt(jnp.maximum(1.0 - (1.0 - cosine * cosine) / index**2, 0.0))


def pane_weights(cosine: jax.Array, depth: jax.Array, *, index: float) -> PaneWeights:
    """Computes the fractions of light that a pane transmits and reflects, summed over all inner reflections.

    With the reflectance r of a surface and the transmission a = exp(-depth / cos(angle inside)) of one passage,
    (1 - r)^2 a / (1 - r^2 a^2) is transmitted, r is reflected by the front surface, r (1 - r)^2 a^2 / (1 - r^2 a^2)
    by the back surface.

    Args:
        cosine: cosine of the angle of incidence, any shape, in [0, 1].
        depth: [] absorption coefficient times thickness, at least 0.
        index: refractive index of the glass, above 1. Static.

    Returns:
        The three fractions, of the shape of `cosine`.
    """
    reflected = fresnel_reflectance(cosine, index=index)
    passed = jnp.exp(-depth / refracted_cosine(cosine, index=index))
    # Grazing light is reflected completely: the floor avoids 0 / 0 where nothing is absorbed either.
    through = (1.0 - reflected) ** 2 * passed / jnp.maximum(1.0 - (reflected * passed) ** 2, 1e-12)
    return PaneWeights(through, reflected, reflected * passed * through)
