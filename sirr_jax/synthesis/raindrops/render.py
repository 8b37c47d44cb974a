"""Raindrops over any photograph.

Pure functions of their arguments, meant to run inside the training step:

    jax.vmap(functools.partial(render, options=options))(keys, photographs)

The camera is focused on the scene; the drops are on a pane close to the camera. A pixel receives the average over the
aperture: if a fraction `alpha` of the rays to the pixel passes through drops,

    I = (1 - alpha) J + average over the aperture of (drop mask * light through drops),   alpha = average of the mask

in linear light. This is the model I = (1 - M) B + R of Qian et al. (CVPR 2018) with a soft M.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from sirr_jax.errors import UserError
from sirr_jax.synthesis.ops.gamma import to_display, to_linear
from sirr_jax.synthesis.ops.grid import pixel_grid
from sirr_jax.synthesis.raindrops.difference_mask import difference_mask
from sirr_jax.synthesis.raindrops.optics import disc_blur, light_through
from sirr_jax.synthesis.raindrops.options import RaindropOptions
from sirr_jax.synthesis.raindrops.parameters import RaindropParameters, draw_raindrops
from sirr_jax.synthesis.raindrops.shapes import cover


class Raindrops(NamedTuple):
    """A photograph through a pane with drops; the clean image is the input of `render`.

    Attributes:
        image: [H, W, 3] float32 in [0, 1]; exactly the clean image where `alpha` is 0.
        mask: [H, W, 1] float32, 1 where drops change the image visibly, else 0: `difference_mask` of the two images in
            bytes, with the option `mask_threshold`, as for real pairs. It omits faint fringes, and drops of the color
            of their surroundings. At threshold 0 it is 1 wherever `alpha` is above 0.
        alpha: [H, W, 1] float32 in [0, 1], fraction of the scene replaced by drops.
        parameters: parameters of the drops.
    """

    image: jax.Array
    mask: jax.Array
    alpha: jax.Array
    parameters: RaindropParameters


def render(key: jax.Array, image: jax.Array, *, options: RaindropOptions) -> Raindrops:
    """Renders raindrops over a photograph.

    Args:
        key: PRNG key.
        image: [H, W, 3] float32 in [0, 1], at least 16 pixels a side.
        options: numbers, sizes and optics. Static.

    Returns:
        The rainy image, its masks and the drawn parameters.

    Raises:
        UserError: The image has another shape or type.
    """
    if image.ndim != 3 or image.shape[-1] != 3 or min(image.shape[:2]) < 16 or image.dtype != jnp.float32:
        raise UserError(f"the image is {image.dtype} {image.shape}: give float32 [H, W, 3], at least 16 pixels a side")
    height, width, _ = image.shape
    params = draw_raindrops(key, height, width, options=options)

    # The defocus spreads drops outside the image into it.
    margin = math.ceil(options.defocus[1] * min(height, width)) + 1
    points = pixel_grid(height + 2 * margin, width + 2 * margin) - margin
    scene = to_linear(image)
    coverage = cover(points, params)
    inside = coverage.inside[..., None]
    light = light_through(scene, coverage, params)
    spread = disc_blur(jnp.concatenate([inside * light, inside], axis=-1), params.defocus)
    spread = spread[margin : margin + height, margin : margin + width]

    coverage_mean = spread[..., 3:]
    drop = jnp.maximum(spread[..., :3], 0.0) / jnp.maximum(coverage_mean, 1e-3)
    alpha = jnp.clip((coverage_mean - options.faintest) / (1.0 - options.faintest), 0.0, 1.0)
    composite = to_display(jnp.clip((1.0 - alpha) * scene + alpha * drop, 0.0, 1.0))
    rainy = jnp.where(alpha > 0, composite, image)
    if options.mask_threshold == 0.0:
        return Raindrops(rainy, (alpha > 0).astype(jnp.float32), alpha, params)
    # In bytes, so that the mask equals that of the written files.
    in_bytes = (jnp.rint(255.0 * jnp.clip(picture, 0.0, 1.0)) for picture in (rainy, image))
    return Raindrops(rainy, difference_mask(*in_bytes, threshold=options.mask_threshold), alpha, params)
