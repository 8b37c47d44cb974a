"""One camera path, one depth per layer: plane homographies, exact flow, validity.

A planar static pane makes what it reflects a static virtual scene, so both layers obey the same camera; they
move differently because their depths differ (distillation spec, section 6.1). Nothing here needs an image.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from sirr_jax.synthesis.multiview.options import MultiviewOptions
from sirr_jax.synthesis.ops.random_values import lerp, log_lerp, normal, uniforms

PLANES = 3
"""Planes of the transmission: the background and two nearer ones, which may be absent."""

# 3x3 products decide positions in pixels: the reduced precision that accelerators default to would move them.
_product = partial(jnp.matmul, precision="highest")


class CameraPath(NamedTuple):
    """Where the camera stands at t-1 and t+1, as seen from t.

    Attributes:
        focal: [] focal length in pixels.
        baseline: [] length of the nominal step, meters.
        rotations: [2, 3, 3] rotation matrices; X_s = rotation X_t + translation.
        translations: [2, 3] meters.
    """

    focal: jax.Array
    baseline: jax.Array
    rotations: jax.Array
    translations: jax.Array


class Geometry(NamedTuple):
    """The motion of all planes of one sequence.

    Attributes:
        path: the camera.
        depths_t: [PLANES] meters, the background first.
        depth_r: [] meters.
        homographies_t: [2, PLANES, 3, 3] from pixels of frame t to pixels of frame s = t-1, t+1.
        homographies_r: [2, 3, 3] likewise for the reflection, its own jitter included.
    """

    path: CameraPath
    depths_t: jax.Array
    depth_r: jax.Array
    homographies_t: jax.Array
    homographies_r: jax.Array


def draw_geometry(key: jax.Array, *, options: MultiviewOptions) -> Geometry:
    """Draws the motion of both layers (distillation spec, section 6.1); cheap, renders nothing.

    The reflection's depth is redrawn until abs(f b / Z_R - f b / Z_T) reaches `options.minimum_parallax`, Z_T
    being the background's depth. A traced function cannot loop for an unknown time, so
    `options.depth_candidates` depths are drawn and the first sufficient one is taken, or the one with the
    largest parallax if none suffices. The ambiguous share keeps its first draw.

    The foreground planes of the transmission are nearer than its background by `options.plane_ratio` each,
    but not nearer than the least depth of a reflection, which is what the canvas's margin is made for.

    Args:
        key: PRNG key.
        options: ranges.

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
    """The homography K (R + tau n^T / Z) K^-1 that a fronto-parallel plane at depth Z of frame t induces.

    Args:
        focal: [] pixels.
        rotation: [3, 3].
        translation: [3] meters.
        depth: [] meters.
        options: gives the crop's size; the principal point is its center.

    Returns:
        [3, 3], from pixels of frame t to pixels of frame s.
    """
    center_x, center_y = 0.5 * (options.width - 1), 0.5 * (options.height - 1)
    zero, one = jnp.zeros_like(focal), jnp.ones_like(focal)
    camera = jnp.stack([focal, zero, one * center_x, zero, focal, one * center_y, zero, zero, one]).reshape(3, 3)
    inverse = jnp.stack([one, zero, -one * center_x, zero, one, -one * center_y, zero, zero, focal]).reshape(3, 3)
    normal = jnp.asarray([[0.0, 0.0, 1.0]])
    motion = rotation + translation[:, None] / depth * normal
    return _product(_product(camera, motion), inverse / focal)


def rotation_matrix(vector: jax.Array) -> jax.Array:
    """The rotation about `vector` by its length, in radians (Rodrigues).

    Args:
        vector: [3].

    Returns:
        [3, 3].
    """
    square = jnp.sum(vector * vector)
    angle = jnp.sqrt(jnp.maximum(square, 1e-20))
    x, y, z = vector[0], vector[1], vector[2]
    zero = jnp.zeros_like(x)
    cross = jnp.stack([zero, -z, y, z, zero, -x, -y, x, zero]).reshape(3, 3)
    half = jnp.sin(0.5 * angle) / (0.5 * angle)
    return jnp.eye(3) + (jnp.sin(angle) / angle) * cross + 0.5 * half * half * _product(cross, cross)


def invert_homography(homography: jax.Array) -> jax.Array:
    """The inverse of a homography, by its adjugate (a homography's scale is free).

    Args:
        homography: [3, 3].

    Returns:
        [3, 3] with lower right entry 1.
    """
    a, b, c = homography[0], homography[1], homography[2]
    adjugate = jnp.stack([jnp.cross(b, c), jnp.cross(c, a), jnp.cross(a, b)], axis=1)
    return adjugate / adjugate[2, 2]


def apply_homography(homography: jax.Array, points: jax.Array) -> jax.Array:
    """Maps points.

    Args:
        homography: [3, 3].
        points: [..., 2], x before y.

    Returns:
        [..., 2].
    """
    x, y = points[..., 0], points[..., 1]
    rows = [homography[i, 0] * x + homography[i, 1] * y + homography[i, 2] for i in range(3)]
    return jnp.stack([rows[0] / rows[2], rows[1] / rows[2]], axis=-1)


def inside_frame(points: jax.Array, *, options: MultiviewOptions) -> jax.Array:
    """Where a bilinear look-up at `points` reads only pixels of the frame.

    Args:
        points: [..., 2] positions in pixels.
        options: gives the crop's size.

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


def _jitter(share: jax.Array, noise: jax.Array, options: MultiviewOptions) -> jax.Array:
    """[2, 3, 3] small maps of the reflection alone: bent glass, or the photographer's own reflection."""
    noise = jnp.where(share < options.jitter_probability, normal(noise), 0.0)
    shift, growth = options.jitter_translation * noise[:, :2], options.jitter_scale * noise[:, 2]
    center = jnp.asarray([0.5 * (options.width - 1), 0.5 * (options.height - 1)])
    offset = shift - growth[:, None] * center[None]
    zero = jnp.zeros_like(growth)
    entries = [1.0 + growth, zero, offset[:, 0], zero, 1.0 + growth, offset[:, 1], zero, zero, zero + 1.0]
    return jnp.stack(entries, axis=-1).reshape(2, 3, 3)
