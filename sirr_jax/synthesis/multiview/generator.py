"""From two photographs and a key to a sequence of three mixtures with all its ground truth.

Pure functions of their arguments, meant to run inside the training step:

    jax.vmap(functools.partial(synthesize, options=options))(keys, transmissions, reflections)

with `keys` derived by `jax.random.fold_in(jax.random.key(seed), index)`; a sequence is determined by seed,
index and the two photographs. Under vmap a branch costs as much as both its sides, so nothing here branches:
the reflection is blurred once, on the canvas, by whatever kernel was drawn, and the mixing models share one
formula.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from sirr_jax.errors import UserError
from sirr_jax.synthesis.multiview.geometry import draw_geometry, invert_homography
from sirr_jax.synthesis.multiview.mixing import (
    CEILNET,
    SCREEN,
    MixingParameters,
    compose,
    draw_mixing,
    model_light,
    residual_reflection,
)
from sirr_jax.synthesis.multiview.options import MultiviewOptions
from sirr_jax.synthesis.multiview.planes import (
    crop_canvas,
    draw_planes,
    layer_motion,
    render_reflection,
    render_transmission,
)
from sirr_jax.synthesis.multiview.reflected_scene import draw_scene, without_pane
from sirr_jax.synthesis.multiview.sensor import apply_sensor
from sirr_jax.synthesis.ops.blur import gaussian_blur, gaussian_kernel, ghost

# The stream of the reflected scene's draws. Beyond those that `split` makes, which are 0, 1, 2, ... themselves.
_SCENE = 1_000


class Sequence(NamedTuple):
    """Three views through a pane and all that is known about them.

    The frames are ordered t-1, t, t+1, the two neighbors t-1, t+1. All arrays are float32.

    Attributes:
        frames: [3, H, W, 3] mixtures in [0, 1], as the sensor gives them.
        transmission: [3, H, W, 3] in [0, 1], un-attenuated.
        reflection: [3, H, W, 3] in [0, 1], the residual layer as it appears in the mixture.
        flow_t: [2, H, W, 2] pixels, x before y; point p of frame t is at p + flow_t(p) in the neighbor.
        flow_r: [2, H, W, 2] likewise for the reflection.
        valid_t: [2, H, W] 1 where that point lies inside the neighbor and is not hidden there, else 0.
        valid_r: [2, H, W] likewise for the reflection.
        params: how the layers were mixed.
    """

    frames: jax.Array
    transmission: jax.Array
    reflection: jax.Array
    flow_t: jax.Array
    flow_r: jax.Array
    valid_t: jax.Array
    valid_r: jax.Array
    params: MixingParameters


class MixedFrame(NamedTuple):
    """One view through a pane.

    Attributes:
        frame: [H, W, 3] mixture in [0, 1], as the sensor gives it.
        transmission: [H, W, 3] in [0, 1], un-attenuated.
        reflection: [H, W, 3] in [0, 1], the residual layer as it appears in the mixture.
        params: how the layers were mixed.
    """

    frame: jax.Array
    transmission: jax.Array
    reflection: jax.Array
    params: MixingParameters


def synthesize(
    key: jax.Array, transmission: jax.Array, reflection: jax.Array, *, options: MultiviewOptions
) -> Sequence:
    """Makes one sequence (distillation spec, section 6).

    Rules of the spec reject a pair of photographs, which a traced function cannot replace. Our choice instead: a
    pair that Zhang's rule rejects is mixed by another model (`draw_mixing`), and a layer that is too dark is
    brightened until its maximum in the middle frame reaches `options.minimum_peak`; a black one stays black. After
    that only model D can make a mixture darker than the spec's 0.1, and such a one is kept.

    Args:
        key: PRNG key.
        transmission: [Hc, Wc, 3] float32 in [0, 1], `options.canvas` in size.
        reflection: the same shape; lamps may exceed 1.
        options: sizes, probabilities, ranges. Static.

    Returns:
        The sequence.

    Raises:
        UserError: if a layer's shape or type is not as stated.
    """
    _check_layers(transmission, reflection, options.canvas, options)
    keys = jax.random.split(key, 4)
    geometry = draw_geometry(keys[0], options=options)
    planes = draw_planes(keys[1], options=options)
    motion = layer_motion(geometry, planes, options=options)
    layer_t = render_transmission(transmission, geometry, planes, options=options)
    layer_t = _brighten(layer_t, layer_t[1], options)
    reflection = _brighten(reflection, crop_canvas(reflection, options=options), options, ceiling=math.inf)
    # A key of its own: what is drawn from the others stays the same, whatever the scene looks like.
    scene, clean = draw_scene(jax.random.fold_in(key, _SCENE), reflection, options=options)
    to_canvas = jnp.stack(
        [
            invert_homography(geometry.homographies_r[0]),
            jnp.eye(3),
            invert_homography(geometry.homographies_r[1]),
        ]
    )
    params = draw_mixing(
        keys[2],
        layer_t[1],
        crop_canvas(scene, options=options),
        _to_unit_square(to_canvas, options.canvas, options.border),
        options=options,
    )
    params = without_pane(params, clean)
    blurred = render_reflection(_form_reflection(scene, params, options), geometry, options=options)
    layer_r, params = residual_reflection(layer_t, blurred, params, excess_gain=options.excess_gain)
    frames = apply_sensor(keys[3], compose(layer_t, layer_r, params), options=options)
    return Sequence(frames, layer_t, layer_r, *motion, params)


def synthesize_single(
    key: jax.Array, transmission: jax.Array, reflection: jax.Array, *, options: MultiviewOptions
) -> MixedFrame:
    """Makes one mixture, for training on single images, by the same models and the same rules.

    The blur ends at the image's border as in the models' own code: CEILNet's and DSRNet's with zeros, the
    others mirrored. To get precisely the mixtures of the ERRNet family, use options with
    `model_probabilities=(1, 0, 0, 0, 0)` (or `(0.5, 0.5, 0, 0, 0)`), `blur_probabilities=(0, 0, 1)` and the
    probabilities of ghosting, noise and JPEG 0.

    Args:
        key: PRNG key.
        transmission: [H, W, 3] float32 in [0, 1], `options.size` in size (there is no margin).
        reflection: the same shape; lamps may exceed 1.
        options: sizes, probabilities, ranges. Static.

    Returns:
        The mixture.

    Raises:
        UserError: if a layer's shape or type is not as stated.
    """
    size = (options.height, options.width)
    _check_layers(transmission, reflection, size, options)
    keys = jax.random.split(key, 2)
    layer_t = _brighten(transmission, transmission, options)
    reflection = _brighten(reflection, reflection, options, ceiling=math.inf)
    to_unit = _to_unit_square(jnp.eye(3)[None], size, 0)
    scene, clean = draw_scene(jax.random.fold_in(key, _SCENE), reflection, options=options)
    params = without_pane(draw_mixing(keys[0], layer_t, scene, to_unit, options=options), clean)
    blurred = _form_reflection(scene, params, options)
    layer_r, params = residual_reflection(layer_t[None], blurred[None], params, excess_gain=options.excess_gain)
    frames = apply_sensor(keys[1], compose(layer_t[None], layer_r, params), options=options)
    return MixedFrame(frames[0], layer_t, layer_r[0], params)


def recompose(sample: Sequence | MixedFrame) -> jax.Array:
    """Mixes the layers of a sample again: its frames before sensor noise and compression.

    Args:
        sample: one sequence or mixture (use `jax.vmap` for a batch).

    Returns:
        [3, H, W, 3] for a sequence, [H, W, 3] for a mixture, in [0, 1].
    """
    if isinstance(sample, Sequence):
        return compose(sample.transmission, sample.reflection, sample.params)
    return compose(sample.transmission[None], sample.reflection[None], sample.params)[0]


def _form_reflection(reflection: jax.Array, params: MixingParameters, options: MultiviewOptions) -> jax.Array:
    """Blurs and doubles the reflected scene in the light of its mixing model."""
    # CEILNet's rule for what exceeds 1 presumes photographs; a lamp of several times white would remove all
    # else.
    light = jnp.where(params.model == CEILNET, jnp.minimum(reflection, 1.0), model_light(reflection, params.model))
    reach = max(5, math.ceil(2.0 * max(options.blur_weak[1], *(high for _, high in options.blur_own))))
    kernel = gaussian_kernel(jnp.maximum(params.blur_sigma, 0.1), params.blur_radius, taps=2 * reach + 1)
    zero_border = (params.model == CEILNET) | (params.model == SCREEN)
    blurred = gaussian_blur(light, kernel, reflect=~zero_border)
    return ghost(blurred, params.ghost_shift, params.ghost_strength, reach=math.ceil(options.ghosting_shift[1]))


def _brighten(layer: jax.Array, seen: jax.Array, options: MultiviewOptions, *, ceiling: float = 1.0) -> jax.Array:
    peak = jnp.max(seen)
    gain = jnp.where(peak > 0.0, jnp.maximum(options.minimum_peak / jnp.maximum(peak, 1e-6), 1.0), 1.0)
    return jnp.minimum(layer * gain, ceiling)


def _to_unit_square(homographies: jax.Array, canvas: tuple[int, int], border: int) -> jax.Array:
    """Continues maps to pixels of the middle frame by the map from there to the canvas as the unit square."""
    x, y = 1.0 / canvas[1], 1.0 / canvas[0]
    scale = jnp.asarray([[x, 0.0, x * (border + 0.5)], [0.0, y, y * (border + 0.5)], [0.0, 0.0, 1.0]])
    return jnp.matmul(scale, homographies, precision="highest")


def _check_layers(
    transmission: jax.Array, reflection: jax.Array, size: tuple[int, int], options: MultiviewOptions
) -> None:
    for name, layer in (("transmission", transmission), ("reflection", reflection)):
        if layer.shape != (*size, 3):
            raise UserError(
                f"{name} has shape {tuple(layer.shape)}, expected {(*size, 3)} for size {options.size} and margin "
                f"{options.margin}: resize and crop the photograph to that, or change the options"
            )
        if layer.dtype != jnp.float32:
            raise UserError(
                f"{name} is {layer.dtype}, expected float32 in [0, 1]: convert it (uint8 by dividing by 255)"
            )
