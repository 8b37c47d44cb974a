"""Procedural layers, for use without photographs.

Every family of textures is rendered once and the layer selects among them, because under vmap a branch would render
all of them anyway. Lengths refer to a canvas of 384 pixels (a crop of 256 with its margin) and scale with it.
"""

from __future__ import annotations

from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

from sirr_jax.errors import UserError
from sirr_jax.synthesis.ops.blur import gaussian_blur, gaussian_kernel
from sirr_jax.synthesis.ops.gamma import to_display
from sirr_jax.synthesis.ops.grid import pixel_grid
from sirr_jax.synthesis.ops.random_values import lerp, normal, uniforms
from sirr_jax.synthesis.ops.smooth_fields import FIELD_TERMS, evaluate_field, random_field

LEAVES = 112
CELLS_PER_SIDE = 7
STROKES = 16
LAMPS = 6


def procedural_texture(
    key: jax.Array, size: int | tuple[int, int], *, role: Literal["transmission", "reflection"]
) -> jax.Array:
    """Draws a layer from one to three families of textures (distillation specification, section 6.2).

    The families are dead leaves, Voronoi cells with stripes, 1/f^a noise, regular patterns (stripes,
    checkers, bricks), strokes with glyphs, and a smooth sky. A fifth of the transmission layers has almost no
    texture, the known failure case of the paper; half of the reflection layers have 1 to 6 lamps or windows in dimmer
    surroundings.

    Args:
        key: PRNG key.
        size: side of the square layer, or (height, width), in pixels; `MultiviewOptions.canvas` for `synthesize`.
            Static.
        role: layer that is drawn. Static.

    Returns:
        [height, width, 3] float32 in [0, 1]; the lamps of a reflection reach 1.65 (three times white in
        linear light).

    Raises:
        UserError: `role` is another string.
    """
    if role not in ("transmission", "reflection"):
        raise UserError(f"role is {role!r}: use 'transmission' or 'reflection'")
    height, width = (size, size) if isinstance(size, int) else size
    keys = jax.random.split(key, 9)
    grain = power_noise(keys[0], height, width)
    sky = sky_gradient(keys[1], height, width)
    families = (
        dead_leaves(keys[2], grain),
        voronoi(keys[3], grain),
        grain,
        pattern(keys[4], grain),
        strokes(keys[5], grain),
        sky,
    )
    special, dimming = uniforms(keys[7], (), ())
    bare = 0.97 * sky + 0.03 * grain
    is_bare = (special < 0.2) if role == "transmission" else jnp.asarray(False)
    layer = _patchwork(keys[6], jnp.stack([*families, bare]), is_bare)
    if role == "reflection":
        layer = jnp.where(special < 0.5, lamps(keys[8], layer * lerp(dimming, 0.2, 0.8)), layer)
    # A lens leaves no sharper edges; without this blur the interpolation of the neighbors would ring.
    return gaussian_blur(layer, gaussian_kernel(jnp.asarray(0.7), jnp.asarray(2.0), taps=5))


def power_noise(key: jax.Array, height: int, width: int) -> jax.Array:
    """Draws noise with amplitude spectrum 1/f^a, a in 0.8..1.6 per channel, mixed by a random 3x3 matrix.

    Args:
        key: PRNG key.
        height: number of rows.
        width: number of columns.

    Returns:
        [height, width, 3] in [0, 1], mean about 0.5.
    """
    noise, exponent, color = uniforms(key, (3, height, width), (3, 1, 1), (4, 3))
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :])
    frequency[0, 0] = np.inf
    amplitude = jnp.asarray(frequency, jnp.float32)[None] ** -lerp(exponent, 0.8, 1.6)
    white = jnp.fft.rfft2(noise)
    noise = jnp.fft.irfft2(white * amplitude.astype(white.dtype), s=(height, width))
    noise = noise / jnp.std(noise, axis=(1, 2), keepdims=True)
    # Natural images vary mostly in brightness: a common part, and a smaller random one.
    color = normal(color)
    image = jnp.einsum("chw,dc->hwd", noise, 0.13 + 0.06 * color[:3], precision="highest")
    return jnp.clip(0.5 + 0.1 * _spread(color[3]) + image, 0.0, 1.0)


def dead_leaves(key: jax.Array, grain: jax.Array) -> jax.Array:
    """Draws opaque discs and polygons that hide one another; radii of density r^-3 between 12 and 80 pixels.

    Args:
        key: PRNG key.
        grain: [H, W, 3] noise in [0, 1] that roughens the leaves.

    Returns:
        [H, W, 3] in [0, 1].
    """
    height, width, _ = grain.shape
    grid, scale = pixel_grid(height, width), _scale(grain)
    low, high = 12.0 * scale, 80.0 * scale
    uniform, color, ramp = uniforms(key, (5, LEAVES), (LEAVES + 2, 4), (LEAVES, 2))
    radius = lerp(uniform[0], low**-2, high**-2) ** -0.5
    x0, y0 = uniform[1] * width, uniform[2] * height
    # A triangle or a square by four sides (one may occur twice), or a disc.
    corners = 3.0 + jnp.floor(4.0 * uniform[3])
    angle = 2.0 * jnp.pi * (uniform[4][:, None] + jnp.arange(4.0)[None] / corners[:, None])
    normal_x, normal_y = jnp.cos(angle), jnp.sin(angle)
    color = _palette(color)
    ramp = 0.01 / scale * normal(ramp)

    def add(leaf: jax.Array, image: jax.Array) -> jax.Array:
        x, y = grid[..., 0] - x0[leaf], grid[..., 1] - y0[leaf]
        side = [normal_x[leaf, k] * x + normal_y[leaf, k] * y for k in range(4)]
        polygon = jnp.maximum(jnp.maximum(side[0], side[1]), jnp.maximum(side[2], side[3]))
        reach = jnp.where(corners[leaf] > 4.5, jnp.sqrt(x * x + y * y), 1.3 * polygon)
        cover = jnp.clip(radius[leaf] - reach + 0.5, 0.0, 1.0)
        shade = 1.0 + ramp[leaf, 0] * x + ramp[leaf, 1] * y
        return image + cover[..., None] * (_spread(color[leaf]) * shade[..., None] - image)

    start = jnp.broadcast_to(_spread(color[LEAVES]), grain.shape)
    leaves = jax.lax.fori_loop(0, LEAVES, add, start, unroll=4)
    return jnp.clip(leaves + 0.3 * (grain - 0.5), 0.0, 1.0)


def voronoi(key: jax.Array, grain: jax.Array) -> jax.Array:
    """Draws Voronoi cells around the jittered points of a grid, each with its own stripes.

    Args:
        key: PRNG key.
        grain: [H, W, 3] noise in [0, 1] that roughens the cells.

    Returns:
        [H, W, 3] in [0, 1].
    """
    height, width, _ = grain.shape
    grid, scale = pixel_grid(height, width), _scale(grain)
    pitch = max(height, width) / CELLS_PER_SIDE
    stride = CELLS_PER_SIDE + 2
    uniform, color = uniforms(key, (stride * stride, 5), (stride * stride + 1, 4))
    home_x, home_y = jnp.floor(grid[..., 0] / pitch), jnp.floor(grid[..., 1] / pitch)
    nearest = jnp.full((height, width), jnp.inf)
    cell = jnp.zeros((height, width), jnp.int32)
    # Points are displaced by at most half a pitch, so the nearest one is almost always among the nine around a pixel.
    for dy in (0, 1, 2):
        for dx in (0, 1, 2):
            index = ((home_y + dy) * stride + home_x + dx).astype(jnp.int32)
            x = (home_x + dx - 0.5 + 0.9 * (uniform[index, 0] - 0.5)) * pitch - grid[..., 0]
            y = (home_y + dy - 0.5 + 0.9 * (uniform[index, 1] - 0.5)) * pitch - grid[..., 1]
            distance = x * x + y * y
            cell = jnp.where(distance < nearest, index, cell)
            nearest = jnp.minimum(distance, nearest)
    angle = jnp.pi * uniform[:, 2]
    frequency = 2.0 * jnp.pi / (scale * lerp(uniform[:, 3], 10.0, 40.0))
    wave_x, wave_y = frequency * jnp.cos(angle), frequency * jnp.sin(angle)
    contrast = 0.4 * uniform[:, 4] ** 2
    stripes = jnp.sin(grid[..., 0] * wave_x[cell] + grid[..., 1] * wave_y[cell])
    image = _palette(color)[cell] * (1.0 + contrast[cell] * stripes)[..., None]
    return jnp.clip(image + 0.3 * (grain - 0.5), 0.0, 1.0)


def pattern(key: jax.Array, grain: jax.Array) -> jax.Array:
    """Draws stripes, a checkerboard or a brick wall, rotated by a random angle.

    Args:
        key: PRNG key.
        grain: [H, W, 3] noise in [0, 1] that roughens the pattern.

    Returns:
        [H, W, 3] in [0, 1].
    """
    grid, scale = pixel_grid(*grain.shape[:2]), _scale(grain)
    uniform, color = uniforms(key, (5,), (3, 4))
    angle = lerp(uniform[0], -0.6, 0.6)
    period = scale * lerp(uniform[1], 16.0, 64.0)
    kind = 3.0 * uniform[2]
    u = (grid[..., 0] * jnp.cos(angle) + grid[..., 1] * jnp.sin(angle)) / period
    v = (grid[..., 1] * jnp.cos(angle) - grid[..., 0] * jnp.sin(angle)) / period
    stripes = u % 1.0 < lerp(uniform[3], 0.3, 0.7)
    checkers = (jnp.floor(u) + jnp.floor(v)) % 2.0 < 1.0
    course = jnp.floor(2.0 * v)
    along = u + 0.5 * (course % 2.0)
    bricks = (along % 1.0 > 0.08) & (2.0 * v % 1.0 > 0.16)
    shape = jnp.where(kind < 1.0, stripes, jnp.where(kind < 2.0, checkers, bricks))
    # Bricks differ in tone; irrational steps through the unit interval are random enough.
    tone = 1.0 + jnp.where(kind < 2.0, 0.0, 0.4 * ((0.618 * jnp.floor(along) + 0.755 * course) % 1.0 - 0.5))
    color = _palette(color)
    image = jnp.where(shape[..., None], _spread(color[0]) * tone[..., None], _spread(color[1]))
    return jnp.clip(image + lerp(uniform[4], 0.1, 0.6) * (grain - 0.5), 0.0, 1.0)


def strokes(key: jax.Array, grain: jax.Array) -> jax.Array:
    """Draws straight strokes over lines of glyph-like boxes on a plain ground.

    Args:
        key: PRNG key.
        grain: [H, W, 3] noise in [0, 1] that roughens the surface.

    Returns:
        [H, W, 3] in [0, 1].
    """
    height, width, _ = grain.shape
    grid, scale = pixel_grid(height, width), _scale(grain)
    uniform, page, bits, color = uniforms(key, (5, STROKES), (3,), (64, 64), (STROKES + 3, 4))
    color = _palette(color)
    module = jnp.maximum(scale * lerp(page[0], 3.0, 7.0), 1.0)
    u = (grid[..., 0] - 0.3 * width * page[1]) / module
    v = (grid[..., 1] - 0.3 * height * page[2]) / module
    column, row = u.astype(jnp.int32), v.astype(jnp.int32)
    # Glyphs of 4 x 5 modules, with a gap of one column between them and of three rows between lines.
    inked = (bits < 0.5)[row % 64, column % 64] & (column % 5 < 4) & (row % 8 < 5)
    written = inked & (u >= 0.0) & (v >= 0.0) & (u < 60.0) & (v < 60.0)
    ground = jnp.where(written[..., None], _spread(color[0]), _spread(color[1]))
    x0, y0 = lerp(uniform[0], -0.1, 1.1) * width, lerp(uniform[1], -0.1, 1.1) * height
    length, thickness = scale * lerp(uniform[2], 20.0, 200.0), scale * lerp(uniform[3], 1.5, 6.0)
    along_x, along_y = jnp.cos(2.0 * jnp.pi * uniform[4]), jnp.sin(2.0 * jnp.pi * uniform[4])

    def add(stroke: jax.Array, image: jax.Array) -> jax.Array:
        x, y = grid[..., 0] - x0[stroke], grid[..., 1] - y0[stroke]
        nearest = jnp.clip(x * along_x[stroke] + y * along_y[stroke], 0.0, length[stroke])
        x, y = x - nearest * along_x[stroke], y - nearest * along_y[stroke]
        cover = jnp.clip(thickness[stroke] - jnp.sqrt(x * x + y * y) + 0.5, 0.0, 1.0)
        return image + cover[..., None] * (_spread(color[stroke + 2]) - image)

    image = jax.lax.fori_loop(0, STROKES, add, ground, unroll=4)
    return jnp.clip(image + 0.15 * (grain - 0.5), 0.0, 1.0)


def sky_gradient(key: jax.Array, height: int, width: int) -> jax.Array:
    """Draws a smooth gradient between two bright colors, almost without texture.

    Args:
        key: PRNG key.
        height: number of rows.
        width: number of columns.

    Returns:
        [height, width, 3] in [0, 1].
    """
    grid = _unit_grid(height, width)
    level, hue, turn, cloud = uniforms(key, (2, 1), (2, 3), (), (FIELD_TERMS, FIELD_TERMS, 1))
    angle = 0.5 * jnp.pi + 0.5 * normal(turn)
    along = grid[..., 0] * jnp.cos(angle) + grid[..., 1] * jnp.sin(angle)
    cloud = evaluate_field(random_field(normal(cloud)), grid)[..., 0]
    position = jax.nn.sigmoid(4.0 * (along - 0.5) + 0.3 * cloud)[..., None]
    color = jnp.clip(lerp(level, 0.35, 0.95) + 0.1 * normal(hue), 0.0, 1.0)
    return lerp(position, _spread(color[0]), _spread(color[1]))


def lamps(key: jax.Array, surroundings: jax.Array) -> jax.Array:
    """Adds 1 to 6 bright lamps (discs) and windows (panes with bars) to a layer.

    Args:
        key: PRNG key.
        surroundings: [H, W, 3] layer in [0, 1].

    Returns:
        [H, W, 3], up to 3^(1/2.2) = 1.65: three times white in linear light.
    """
    height, width, _ = surroundings.shape
    grid, scale = pixel_grid(height, width), _scale(surroundings)
    uniform, tint = uniforms(key, (LAMPS, 9), (LAMPS, 3))
    count = 1 + jnp.floor(LAMPS * uniform[0, 8]).astype(jnp.int32)
    x0, y0 = lerp(uniform[:, 0], 0.15, 0.85) * width, lerp(uniform[:, 1], 0.15, 0.85) * height
    half_x, half_y = scale * lerp(uniform[:, 2], 8.0, 45.0), scale * lerp(uniform[:, 3], 8.0, 45.0)
    panes_x, panes_y = 1.0 + jnp.floor(3.0 * uniform[:, 4]), 1.0 + jnp.floor(3.0 * uniform[:, 5])
    strength = to_display(lerp(uniform[:, 6], 0.6, 3.0))
    tint = jnp.clip(1.0 + 0.12 * normal(tint), 0.5, 1.0)

    def add(lamp: jax.Array, image: jax.Array) -> jax.Array:
        x, y = (grid[..., 0] - x0[lamp]) / half_x[lamp], (grid[..., 1] - y0[lamp]) / half_y[lamp]
        disc = jnp.clip((1.0 - jnp.sqrt(x * x + y * y)) * half_x[lamp] + 0.5, 0.0, 1.0)
        inside = (jnp.abs(x) < 1.0) & (jnp.abs(y) < 1.0)
        in_column = jnp.abs((0.5 * x + 0.5) * panes_x[lamp] % 1.0 - 0.5) < 0.44
        in_row = jnp.abs((0.5 * y + 0.5) * panes_y[lamp] % 1.0 - 0.5) < 0.44
        window = (inside & in_column & in_row).astype(jnp.float32)
        cover = jnp.where(uniform[lamp, 7] < 0.5, window, disc)
        return image + cover[..., None] * (_spread(tint[lamp] * strength[lamp]) - image)

    return jax.lax.fori_loop(0, count, add, surroundings)


def _patchwork(key: jax.Array, families: jax.Array, is_bare: jax.Array) -> jax.Array:
    """[F, H, W, 3] to [H, W, 3]: the last family alone, or up to three of the others within smooth outlines.

    Without the loop (here and over leaves, strokes and lamps) XLA on the CPU would recompute every pixel for each tap
    of the blur that follows (five times slower).
    """
    last, height, width = families.shape[0] - 1, *families.shape[1:3]
    uniform, noise = uniforms(key, (last + 3,), (FIELD_TERMS, FIELD_TERMS, 3))
    picks = jnp.argsort(uniform[:last])[:3]
    picks = jnp.where(is_bare, last, picks)
    number = jnp.where(is_bare, 1, 1 + jnp.floor(3.0 * uniform[last]).astype(jnp.int32))
    # Two outlines and a slow change of the light over the whole layer.
    fields = evaluate_field(random_field(normal(noise)), _unit_grid(height, width))
    covers = jnp.clip(0.5 + 12.0 * (fields[..., :2] - _spread(lerp(uniform[last + 1 :], -0.3, 0.6))), 0.0, 1.0)
    covers = jnp.concatenate([jnp.ones_like(covers[..., :1]), covers], axis=-1)
    light = 0.85 + 0.15 * jnp.tanh(fields[..., 2:])

    def lay(index: jax.Array, image: jax.Array) -> jax.Array:
        cover = jnp.take(covers, index, axis=-1)[..., None]
        return image + cover * (light * families[picks[index]] - image)

    return jax.lax.fori_loop(0, number, lay, jnp.zeros_like(families[0]))


def _palette(uniform: jax.Array) -> jax.Array:
    """[N + 1, 4] uniform values to [N, 3] colors that vary more in brightness than in hue, around a common tone."""
    level = lerp(uniform[1:, :1], 0.05, 0.95)
    hue = 0.12 * normal(uniform[:, 1:])
    return jnp.clip(level + hue[:1] + hue[1:], 0.02, 0.98)


def _spread(vector: jax.Array) -> jax.Array:
    """[C] to [1, 1, C], to combine with images: the package does not use implicit rank promotion."""
    return vector.reshape(1, 1, -1)


def _unit_grid(height: int, width: int) -> jax.Array:
    return (pixel_grid(height, width) + 0.5) / _spread(jnp.asarray([width, height], jnp.float32))


def _scale(image: jax.Array) -> float:
    return max(image.shape[:2]) / 384.0
