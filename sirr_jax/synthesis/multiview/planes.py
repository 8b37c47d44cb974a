"""The transmission as a stack of fronto-parallel planes: occlusion, exact flow, rendering."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from sirr_jax.synthesis.multiview.geometry import (
    PLANES,
    Geometry,
    apply_homography,
    inside_frame,
    invert_homography,
)
from sirr_jax.synthesis.multiview.options import MultiviewOptions
from sirr_jax.synthesis.ops.grid import pixel_grid
from sirr_jax.synthesis.ops.random_values import lerp, normal, uniforms
from sirr_jax.synthesis.ops.sampling import sample_cubic
from sirr_jax.synthesis.ops.smooth_fields import FIELD_TERMS, evaluate_field_slope, random_field


class Planes(NamedTuple):
    """Shapes of the foreground planes; the background is opaque everywhere.

    Attributes:
        active: [PLANES - 1] float32, 1 where the plane exists.
        coefficients: [PLANES - 1, K, K, 1] coefficients of the smooth fields whose level sets are the outlines.
        thresholds: [PLANES - 1] levels above which the planes are opaque.
        mirrors: [PLANES, 2] bool, true where a plane shows the canvas mirrored along x, along y.
    """

    active: jax.Array
    coefficients: jax.Array
    thresholds: jax.Array
    mirrors: jax.Array


class Motion(NamedTuple):
    """Exact motion of the two layers.

    Attributes:
        flow_t: [2, H, W, 2] float32, flow of the transmission in pixels, x before y: point p of frame t is at
            p + flow(p) in frame t-1, t+1.
        flow_r: [2, H, W, 2] float32, flow of the reflection.
        valid_t: [2, H, W] float32, 1 where the point lies inside that frame and is not hidden there, else 0.
        valid_r: [2, H, W] float32, validity of `flow_r`.
    """

    flow_t: jax.Array
    flow_r: jax.Array
    valid_t: jax.Array
    valid_r: jax.Array


def draw_planes(key: jax.Array, *, options: MultiviewOptions) -> Planes:
    """Draws whether the transmission has depth parallax, and the outlines of its planes.

    There is one photograph per layer, so a foreground plane shows a mirrored copy of it through a smooth random
    outline.

    Args:
        key: PRNG key.
        options: probability and ranges. Static.

    Returns:
        The planes.
    """
    count = PLANES - 1
    presence, threshold, mirror, noise = uniforms(key, (2,), (count,), (count,), (count, FIELD_TERMS, FIELD_TERMS, 1))
    has_parallax = presence[0] < options.parallax_probability
    # 1: mirrored along x, 2: along y, 3: both; an unmirrored foreground would be invisible on the background.
    mirror = 1.0 + jnp.floor(3.0 * mirror)
    mirrors = jnp.stack([mirror != 2.0, mirror != 1.0], axis=-1)
    return Planes(
        active=jnp.stack([has_parallax, has_parallax & (presence[1] < 0.5)]).astype(jnp.float32),
        coefficients=jax.vmap(random_field)(normal(noise)),
        thresholds=lerp(threshold, *options.plane_threshold),
        mirrors=jnp.concatenate([jnp.zeros((1, 2), bool), mirrors]),
    )


def layer_motion(geometry: Geometry, planes: Planes, *, options: MultiviewOptions) -> Motion:
    """Computes the exact flows and validities, without rendering.

    The flow of the transmission at p is that of the plane visible there in frame t. A point is hidden in frame s if
    another plane is visible at its target; outlines are known analytically, so this is tested at the real-valued
    position itself.

    Args:
        geometry: geometry from `draw_geometry`.
        planes: planes from `draw_planes`.
        options: sizes. Static.

    Returns:
        The motion.
    """
    grid = pixel_grid(options.height, options.width)
    alphas = plane_alphas(planes, jnp.broadcast_to(grid[None], (PLANES, *grid.shape)), options=options)
    visible = visible_plane(alphas)

    def transmission(homographies: jax.Array) -> tuple[jax.Array, jax.Array]:
        targets = jax.vmap(apply_homography, in_axes=(0, None))(homographies, grid)
        target = targets[0]
        for plane in range(1, PLANES):
            target = jnp.where((visible == plane)[..., None], targets[plane], target)
        back = jax.vmap(apply_homography, in_axes=(0, None))(_inverses(homographies), target)
        there = plane_alphas(planes, back, options=options)
        nearer = jnp.arange(PLANES)[:, None, None] > visible[None]
        hidden = jnp.any(nearer & (there > 0.5), axis=0)
        valid = inside_frame(target, options=options) & ~hidden
        return target - grid, valid.astype(jnp.float32)

    def reflection(homography: jax.Array) -> tuple[jax.Array, jax.Array]:
        target = apply_homography(homography, grid)
        return target - grid, inside_frame(target, options=options).astype(jnp.float32)

    flow_t, valid_t = jax.vmap(transmission)(geometry.homographies_t)
    flow_r, valid_r = jax.vmap(reflection)(geometry.homographies_r)
    return Motion(flow_t, flow_r, valid_t, valid_r)


def plane_alphas(planes: Planes, points: jax.Array, *, options: MultiviewOptions) -> jax.Array:
    """Computes the opacity of every plane.

    Args:
        planes: planes from `draw_planes`.
        points: [PLANES, H, W, 2] positions for each plane, in pixels of frame t.
        options: sizes. Static.

    Returns:
        [PLANES, H, W] in [0, 1]: 1 for the background; the outlines of the others are about 1.5 pixels soft.
    """
    extent = jnp.asarray([options.canvas[1], options.canvas[0]], jnp.float32)

    def foreground(coefficients: jax.Array, threshold: jax.Array, active: jax.Array, where: jax.Array) -> jax.Array:
        scaled = (where + (options.border + 0.5)) / extent.reshape((1,) * (where.ndim - 1) + (2,))
        value, by_x, by_y = evaluate_field_slope(coefficients, scaled)
        slope = jnp.hypot(by_x / extent[0], by_y / extent[1])
        distance = (value - threshold) / jnp.maximum(slope, 1e-4)
        return active * jnp.clip(0.5 + distance[..., 0] / 1.5, 0.0, 1.0)

    alphas = jax.vmap(foreground)(planes.coefficients, planes.thresholds, planes.active, points[1:])
    return jnp.concatenate([jnp.ones_like(alphas[:1]), alphas])


def visible_plane(alphas: jax.Array) -> jax.Array:
    """Returns the index of the nearest plane that is more opaque than not.

    Args:
        alphas: [PLANES, H, W] opacities in [0, 1].

    Returns:
        [H, W] int32.
    """
    index = jnp.arange(PLANES, dtype=jnp.int32)[:, None, None]
    return jnp.max(jnp.where(alphas > 0.5, index, 0), axis=0)


def render_transmission(
    canvas: jax.Array, geometry: Geometry, planes: Planes, *, options: MultiviewOptions
) -> jax.Array:
    """Renders the transmission of the three frames; without depth parallax the middle one is a plain crop.

    Args:
        canvas: [Hc, Wc, 3] photograph in [0, 1].
        geometry: geometry from `draw_geometry`.
        planes: planes from `draw_planes`.
        options: sizes. Static.

    Returns:
        [3, H, W, 3] in [0, 1].
    """
    grid = pixel_grid(options.height, options.width)
    same = jnp.broadcast_to(grid[None], (PLANES, *grid.shape))
    crops = jax.vmap(lambda flips: crop_canvas(_mirror(canvas, flips), options=options))(planes.mirrors)
    middle = _composite(crops, plane_alphas(planes, same, options=options))

    def positions(homography: jax.Array) -> jax.Array:
        return apply_homography(invert_homography(homography), grid)

    back = jax.vmap(jax.vmap(positions))(geometry.homographies_t)
    last = jnp.asarray([canvas.shape[1] - 1, canvas.shape[0] - 1], jnp.float32).reshape(1, 1, 1, 1, 2)
    on_canvas = back + options.border
    on_canvas = jnp.where(planes.mirrors[None, :, None, None], last - on_canvas, on_canvas)
    colors = jnp.clip(sample_cubic(canvas, on_canvas), 0.0, 1.0)
    alphas = jax.vmap(lambda points: plane_alphas(planes, points, options=options))(back)
    neighbors = jax.vmap(_composite)(colors, alphas)
    return jnp.stack([neighbors[0], middle, neighbors[1]])


def render_reflection(canvas: jax.Array, geometry: Geometry, *, options: MultiviewOptions) -> jax.Array:
    """Renders the reflected scene of the three frames; the middle one is a plain crop.

    Args:
        canvas: [Hc, Wc, C] scene, at least 0.
        geometry: geometry from `draw_geometry`.
        options: sizes. Static.

    Returns:
        [3, H, W, C], at least 0.
    """
    points = jax.vmap(apply_homography, in_axes=(0, None))(
        _inverses(geometry.homographies_r), pixel_grid(options.height, options.width)
    )
    neighbors = jnp.maximum(sample_cubic(canvas, points + options.border), 0.0)
    return jnp.stack([neighbors[0], crop_canvas(canvas, options=options), neighbors[1]])


def crop_canvas(canvas: jax.Array, *, options: MultiviewOptions) -> jax.Array:
    """Crops the canvas to the middle frame.

    Args:
        canvas: [Hc, Wc, C] image.
        options: sizes. Static.

    Returns:
        [H, W, C].
    """
    border = options.border
    return canvas[border : border + options.height, border : border + options.width]


def _inverses(homographies: jax.Array) -> jax.Array:
    return jax.vmap(invert_homography)(homographies)


def _mirror(canvas: jax.Array, flips: jax.Array) -> jax.Array:
    canvas = jnp.where(flips[0], canvas[:, ::-1], canvas)
    return jnp.where(flips[1], canvas[::-1], canvas)


def _composite(colors: jax.Array, alphas: jax.Array) -> jax.Array:
    image = colors[0]
    for plane in range(1, PLANES):
        image = image + alphas[plane, ..., None] * (colors[plane] - image)
    return image
