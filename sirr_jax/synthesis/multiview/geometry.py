"""One camera path, one depth per layer: plane homographies, exact flow, validity.

A planar static pane reflects a static virtual scene, so both layers follow the same camera; they move differently
because their depths differ (distillation specification, section 6.1). This module needs no images.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from sirr_jax.synthesis.multiview.options import MultiviewOptions
from sirr_jax.synthesis.ops.random_values import lerp, log_lerp, normal, uniforms

PLANES = 3
"""Number of planes of the transmission: the background and two nearer ones, which may be absent."""

# 3x3 products determine positions in pixels: the reduced default precision of accelerators would shift them.
_product = partial(jnp.matmul, precision="highest")


class CameraPath(NamedTuple):
    """Poses of the camera at t-1 and t+1 relative to t.

    Attributes:
        focal: [] focal length in pixels.
        baseline: [] length of the nominal step in meters.
        rotations: [2, 3, 3] rotation matrices; X_s = rotation X_t + translation.
        translations: [2, 3] translations in meters.
    """

    focal: jax.Array
    baseline: jax.Array
    rotations: jax.Array
    translations: jax.Array


class Geometry(NamedTuple):
    """The motion of all planes of one sequence.

    Attributes:
        path: path of the camera.
        depths_t: [PLANES] depths of the transmission in meters, the background first.
        depth_r: [] depth of the reflection in meters.
        homographies_t: [2, PLANES, 3, 3] maps from pixels of frame t to pixels of frame s = t-1, t+1.
        homographies_r: [2, 3, 3] the same for the reflection, including its own jitter.
    """

    path: CameraPath
    depths_t: jax.Array
    depth_r: jax.Array
    homographies_t: jax.Array
    homographies_r: jax.Array


def draw_geometry(key: jax.Array, *, options: MultiviewOptions) -> Geometry:
    """Draws the motion of both layers (distillation specification, section 6.1); cheap, renders nothing.

    The depth of the reflection is redrawn until abs(f b / Z_R - f b / Z_T) reaches `options.minimum_parallax`, where
    Z_T is the depth of the background. Traced code cannot loop an unknown number of times, so
    `options.depth_candidates` depths are drawn and the first sufficient one is used, or the one with the largest
    parallax if none suffices. Ambiguous sequences keep their first draw.

    Each foreground plane of the transmission is nearer than the plane behind it by a factor from `options.plane_ratio`,
    but not nearer than the smallest depth of a reflection, for which the margin of the canvas is sized.

    Args:
        key: PRNG key.
        options: probabilities and ranges. Static.

    Returns:
        The geometry. Its distribution is symmetric under mirroring, quarter turns (of a square crop) and time
        reversal.
    """
    view, turn, step, wobble, layout, candidates, jitter = uniforms(
        key, (4,), (1, 3), (2, 1), (2, 2, 3), (2 + PLANES,), (options.depth_candidates,), (2, 3)
    )
    path = _camera_path(view, turn, step, wobble, options)
    far = log_lerp(layout[0], *options.depth_t)
    ratios = lerp(layout[3:], *options.plane_ratio)
    depths_t = jnp.concatenate([far[None], far / jnp.cumprod(ratios)])
    depths_t = jnp.maximum(depths_t, jnp.minimum(far, options.depth_r[0]))
    ambiguous = layout[1] < options.ambiguous_probability
    depth_r = _reflection_depth(candidates, path.focal * path.baseline, far, ambiguous, options)
    planes = jax.vmap(plane_homography, in_axes=(None, 0, 0, None, None))
    homographies_t = jax.vmap(
        lambda depth: planes(path.focal, path.rotations, path.translations, depth, options), out_axes=1
    )(depths_t)
    homographies_r = planes(path.focal, path.rotations, path.translations, depth_r, options)
    return Geometry(
        path, depths_t, depth_r, homographies_t, _product(_jitter(layout[2], jitter, options), homographies_r)
    )


def plane_homography(
    focal: jax.Array, rotation: jax.Array, translation: jax.Array, depth: jax.Array, options: MultiviewOptions
) -> jax.Array:
    """Computes the homography K (R + tau n^T / Z) K^-1 of a fronto-parallel plane at depth Z of frame t.

    Args:
        focal: [] focal length in pixels.
        rotation: [3, 3] rotation matrix.
        translation: [3] translation in meters.
        depth: [] depth of the plane in meters.
        options: size of the crop; the principal point is its center. Static.

    Returns:
        [3, 3] map from pixels of frame t to pixels of frame s.
    """
    center_x, center_y = 0.5 * (options.width - 1), 0.5 * (options.height - 1)
    zero, one = jnp.zeros_like(focal), jnp.ones_like(focal)
    camera = jnp.stack([focal, zero, one * center_x, zero, focal, one * center_y, zero, zero, one]).reshape(3, 3)
    inverse = jnp.stack([one, zero, -one * center_x, zero, one, -one * center_y, zero, zero, focal]).reshape(3, 3)
    normal = jnp.asarray([[0.0, 0.0, 1.0]])
    motion = rotation + translation[:, None] / depth * normal
    return _product(_product(camera, motion), inverse / focal)


def rotation_matrix(vector: jax.Array) -> jax.Array:
    """Computes a rotation matrix by Rodrigues' formula.

    Args:
        vector: [3] axis of rotation; its length is the angle in radians.

    Returns:
        [3, 3] rotation matrix.
    """
    square = jnp.sum(vector * vector)
    angle = jnp.sqrt(jnp.maximum(square, 1e-20))
    x, y, z = vector[0], vector[1], vector[2]
    zero = jnp.zeros_like(x)
    cross = jnp.stack([zero, -z, y, z, zero, -x, -y, x, zero]).reshape(3, 3)
    half = jnp.sin(0.5 * angle) / (0.5 * angle)
    return jnp.eye(3) + (jnp.sin(angle) / angle) * cross + 0.5 * half * half * _product(cross, cross)


def invert_homography(homography: jax.Array) -> jax.Array:
    """Inverts a homography by its adjugate (the scale of a homography is free).

    Args:
        homography: [3, 3] map.

    Returns:
        [3, 3] inverse map with lower right entry 1.
    """
    a, b, c = homography[0], homography[1], homography[2]
    adjugate = jnp.stack([jnp.cross(b, c), jnp.cross(c, a), jnp.cross(a, b)], axis=1)
    return adjugate / adjugate[2, 2]


def apply_homography(homography: jax.Array, points: jax.Array) -> jax.Array:
    """Maps points by a homography.

    Args:
        homography: [3, 3] map.
        points: [..., 2] positions, x before y.

    Returns:
        [..., 2] mapped positions.
    """
    x, y = points[..., 0], points[..., 1]
    rows = [homography[i, 0] * x + homography[i, 1] * y + homography[i, 2] for i in range(3)]
    return jnp.stack([rows[0] / rows[2], rows[1] / rows[2]], axis=-1)


def inside_frame(points: jax.Array, *, options: MultiviewOptions) -> jax.Array:
    """Returns where a bilinear look-up at `points` reads only pixels of the frame.

    Args:
        points: [..., 2] positions in pixels.
        options: size of the crop. Static.

    Returns:
        [...] bool.
    """
    x, y = points[..., 0], points[..., 1]
    return (x >= 0.0) & (x <= options.width - 1.0) & (y >= 0.0) & (y <= options.height - 1.0)


def _camera_path(
    view: jax.Array, turn: jax.Array, step: jax.Array, wobble: jax.Array, options: MultiviewOptions
) -> CameraPath:
    fov = jnp.deg2rad(lerp(view[0], *options.field_of_view))
    baseline = lerp(view[1], *options.baseline)
    angle = 2.0 * jnp.pi * view[2]
    direction = jnp.stack([jnp.cos(angle), jnp.sin(angle), lerp(view[3], *options.direction_z)])
    noise = normal(wobble)
    sign = jnp.asarray([[-1.0], [1.0]])
    turns = sign * lerp(turn, -options.rotation, options.rotation) + options.rotation_noise * noise[0]
    steps = sign * lerp(step, *options.step_scale) * direction[None] + options.translation_noise * noise[1]
    return CameraPath(
        focal=0.5 * options.width / jnp.tan(0.5 * fov),
        baseline=baseline,
        rotations=jax.vmap(rotation_matrix)(jnp.deg2rad(turns)),
        translations=baseline * steps,
    )


def _reflection_depth(
    candidates: jax.Array,
    shift_at_one_meter: jax.Array,
    depth_t: jax.Array,
    ambiguous: jax.Array,
    options: MultiviewOptions,
) -> jax.Array:
    depths = log_lerp(candidates, *options.depth_r)
    parallax = jnp.abs(shift_at_one_meter / depths - shift_at_one_meter / depth_t)
    enough = parallax >= options.minimum_parallax
    best = jnp.where(jnp.any(enough), jnp.argmax(enough), jnp.argmax(parallax))
    return jnp.where(ambiguous, depths[0], depths[best])


def _jitter(uniform: jax.Array, noise: jax.Array, options: MultiviewOptions) -> jax.Array:
    """[2, 3, 3] small maps of the reflection alone, as from bent glass or the photographer's own reflection."""
    noise = jnp.where(uniform < options.jitter_probability, normal(noise), 0.0)
    shift, growth = options.jitter_translation * noise[:, :2], options.jitter_scale * noise[:, 2]
    center = jnp.asarray([0.5 * (options.width - 1), 0.5 * (options.height - 1)])
    offset = shift - growth[:, None] * center[None]
    zero = jnp.zeros_like(growth)
    entries = [1.0 + growth, zero, offset[:, 0], zero, 1.0 + growth, offset[:, 1], zero, zero, zero + 1.0]
    return jnp.stack(entries, axis=-1).reshape(2, 3, 3)
