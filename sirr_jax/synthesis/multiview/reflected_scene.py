"""Visibility of the reflected scene: all of it, mostly its lights, a part of the pane, or nothing.

Our own addition. Two photographs that are simply superposed give a veil over the whole image. In front of real panes
the reflected scene is mostly darker than the scene behind, so only its bright parts are visible, often on a part of
the pane only. And a network trained without reflection-free photographs removes something from every photograph.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from sirr_jax.synthesis.multiview.mixing import CEILNET, MixingParameters
from sirr_jax.synthesis.multiview.options import MultiviewOptions
from sirr_jax.synthesis.ops.grid import pixel_grid
from sirr_jax.synthesis.ops.random_values import lerp, normal, uniforms
from sirr_jax.synthesis.ops.smooth_fields import FIELD_TERMS, evaluate_field, random_field

# Level at which the reflection ends, in standard deviations of a smooth field, and steepness of its end.
_LEVEL = (-0.3, 1.0)
_STEEPNESS = (2.0, 12.0)


def draw_scene(key: jax.Array, reflection: jax.Array, *, options: MultiviewOptions) -> tuple[jax.Array, jax.Array]:
    """Raises the contrast of the reflected scene, confines it to a part of the canvas, or removes it.

    Args:
        key: PRNG key.
        reflection: [Hc, Wc, 3], at least 0; lamps may exceed 1.
        options: options, of which `contrast`, `local_probability` and `clean_probability` are used. Static.

    Returns:
        The scene, the same shape; and [] bool, true if there is no reflection at all.
    """
    uniform, noise = uniforms(key, (5,), (FIELD_TERMS, FIELD_TERMS, 1))
    scene, clean = reflection, uniform[4] < options.clean_probability
    # Disabled changes are not compiled, and leave the photographs unchanged to the bit.
    if options.contrast != (1.0, 1.0):
        scene = scene ** lerp(uniform[0], *options.contrast)
    if options.local_probability > 0:
        height, width, _ = reflection.shape
        points = (pixel_grid(height, width) + 0.5) / jnp.asarray([[[width, height]]], jnp.float32)
        field = evaluate_field(random_field(normal(noise)), points) - lerp(uniform[1], *_LEVEL)
        window = jax.nn.sigmoid(lerp(uniform[2], *_STEEPNESS) * field)
        scene = jnp.where(uniform[3] < options.local_probability, window * scene, scene)
    return jnp.where(clean, 0.0, scene), clean


def without_pane(params: MixingParameters, clean: jax.Array) -> MixingParameters:
    """Replaces parameters by those of a mixture without a pane, where `clean` is true.

    Args:
        params: parameters from `draw_mixing`.
        clean: [] bool, from `draw_scene`.

    Returns:
        The parameters; with a black scene, the mixture is then the unchanged transmission.
    """
    return params._replace(
        model=jnp.where(clean, CEILNET, params.model),
        transmittance=jnp.where(clean, 1.0, params.transmittance),
        reflectance=jnp.where(clean, 1.0, params.reflectance),
    )
