"""How much of the reflected scene is to be seen: all of it, its lights, a part of the pane, or nothing.

Ours. Laid over each other as they are, two photographs make a veil over the whole picture. Behind real panes the
reflected scene is mostly darker than what lies behind, and what one sees of it are its bright parts, often on a part of
the pane only. And a network that never sees a photograph without a reflection removes something from each.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from sirr_jax.synthesis.multiview.mixing import CEILNET, MixingParameters
from sirr_jax.synthesis.multiview.options import MultiviewOptions
from sirr_jax.synthesis.ops.grid import pixel_grid
from sirr_jax.synthesis.ops.random_values import lerp, normal, uniforms
from sirr_jax.synthesis.ops.smooth_fields import FIELD_TERMS, evaluate_field, random_field

# Where the reflection ends, in standard deviations of a smooth field, and how fast it does.
_LEVEL = (-0.3, 1.0)
_STEEPNESS = (2.0, 12.0)


def draw_scene(key: jax.Array, reflection: jax.Array, *, options: MultiviewOptions) -> tuple[jax.Array, jax.Array]:
    """Raises the reflected scene's contrast, confines it to a part of the canvas, or takes it away.

    Args:
        key: PRNG key.
        reflection: [Hc, Wc, 3], at least 0; lamps may exceed 1.
        options: `contrast`, `local_probability`, `clean_probability`.

    Returns:
        The scene, the same shape; and [] bool, whether there is no reflection at all.
    """
    share, noise = uniforms(key, (5,), (FIELD_TERMS, FIELD_TERMS, 1))
    scene, clean = reflection, share[4] < options.clean_probability
    # What is switched off is not compiled, and leaves the photographs as they are to the bit.
    if options.contrast != (1.0, 1.0):
        scene = scene ** lerp(share[0], *options.contrast)
    if options.local_probability > 0:
        height, width, _ = reflection.shape
        points = (pixel_grid(height, width) + 0.5) / jnp.asarray([[[width, height]]], jnp.float32)
        field = evaluate_field(random_field(normal(noise)), points) - lerp(share[1], *_LEVEL)
        window = jax.nn.sigmoid(lerp(share[2], *_STEEPNESS) * field)
        scene = jnp.where(share[3] < options.local_probability, window * scene, scene)
    return jnp.where(clean, 0.0, scene), clean


def without_pane(params: MixingParameters, clean: jax.Array) -> MixingParameters:
    """The parameters of a mixture through no pane at all, where `clean`: the transmission as it is.

    Args:
        params: of `draw_mixing`.
        clean: [] bool.
    """
    return params._replace(
        model=jnp.where(clean, CEILNET, params.model),
        transmittance=jnp.where(clean, 1.0, params.transmittance),
        reflectance=jnp.where(clean, 1.0, params.reflectance),
    )
