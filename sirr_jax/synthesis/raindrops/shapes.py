"""Pixels covered by drops with given parameters."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from sirr_jax.synthesis.raindrops.parameters import LOBES, WAVES, RaindropParameters

_SOFTNESS = 0.12
"""Softness of the junction of two lobes, in units of the level (1 at the center of a lobe, 0 at its outline)."""


class Coverage(NamedTuple):
    """Drop at each pixel of a pane in focus.

    Attributes:
        inside: [H, W] in [0, 1], fraction of the pixel covered by a drop.
        local: [H, W, 2] offset from the center of the drop, of length 1 at its outline, x before y.
        center: [H, W, 2] center of the drop in pixels.
        view: [H, W, 2] view of the drop, see `RaindropParameters`.
    """

    inside: jax.Array
    local: jax.Array
    center: jax.Array
    view: jax.Array


def cover(points: jax.Array, params: RaindropParameters) -> Coverage:
    """Finds for every point the drop in which it lies deepest.

    Args:
        points: [H, W, 2] positions in pixels, x before y.
        params: parameters of the drops.

    Returns:
        The coverage. Where there is no drop, `inside` is 0 and the other fields are arbitrary.
    """
    shape = points.shape[:-1]
    # Derived from the drops: on several devices the carry of a loop must vary over devices from the start.
    zero = 0.0 * params.radius.ravel()[0]
    nothing = (jnp.full(shape, -1.0) + zero, *(jnp.zeros((*shape, 2)) + zero for _ in range(3)))

    # One drop at a time: a stack of all drops would need memory in proportion to their number.
    def add(best: tuple[jax.Array, ...], drop: tuple[jax.Array, ...]) -> tuple[tuple[jax.Array, ...], None]:
        present, center, radius, frame, waves, view = drop
        depth, local, middle = _drop(points, center, radius, frame, waves)
        depth = jnp.where(present, depth, -1.0)
        deeper = depth > best[0]
        candidate = (depth, local, middle, jnp.broadcast_to(view.reshape(1, 1, 2), local.shape))
        deepest = (
            jnp.where(deeper if a.ndim == 2 else deeper[..., None], b, a) for a, b in zip(best, candidate, strict=True)
        )
        return tuple(deepest), None

    drops = (params.present, params.center, params.radius, params.frame, params.waves, params.view)
    (depth, local, center, view), _ = jax.lax.scan(add, nothing, drops)
    return Coverage(jnp.clip(depth + 0.5, 0.0, 1.0), local, center, view)


def _drop(
    points: jax.Array, center: jax.Array, radius: jax.Array, frame: jax.Array, waves: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Approximate depth inside the outline in pixels, local offset, and center, of one drop."""
    places = center.reshape(LOBES, 1, 1, 2)
    first = _lobe(points - places[0], radius[0], frame, waves[0])
    second = _lobe(points - places[1], radius[1], frame, waves[1])
    merged = jnp.logaddexp(first[0] / _SOFTNESS, second[0] / _SOFTNESS)
    weight = jax.nn.sigmoid((first[0] - second[0]) / _SOFTNESS)[..., None]
    local = weight * first[1] + (1.0 - weight) * second[1]
    middle = weight * places[0] + (1.0 - weight) * places[1]
    size = weight[..., 0] * radius[0] + (1.0 - weight[..., 0]) * radius[1]
    # The level falls by 2 / radius per pixel at the outline.
    return 0.5 * size * _SOFTNESS * merged, local, middle


def _lobe(offset: jax.Array, radius: jax.Array, frame: jax.Array, waves: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Level (1 at the center, 0 at the outline, negative outside) and offset in units of the outline's radius."""
    along = jnp.stack([offset[..., 0] * axis[0] + offset[..., 1] * axis[1] for axis in frame])
    length = jnp.sqrt(jnp.sum(along**2, axis=0) + 1e-6)
    first = along / length[None]
    wave, outline = first, jnp.ones_like(length)
    # Cosine and sine of 2, 3, ... times the angle, by the addition rule.
    for k in range(WAVES):
        wave = jnp.stack([wave[0] * first[0] - wave[1] * first[1], wave[1] * first[0] + wave[0] * first[1]])
        outline = outline + waves[k, 0] * wave[0] + waves[k, 1] * wave[1]
    exists = radius > 0
    scale = jnp.where(exists, radius, 1.0) * jnp.maximum(outline, 0.3)
    # At the floor, the weight of a distant or missing lobe is exactly 0.
    return jnp.where(exists, jnp.maximum(1.0 - (length / scale) ** 2, -100.0), -100.0), offset / scale[..., None]
