"""The multi-view generator: two photographs and a key give three mixtures with their ground truth.

Pure functions of their arguments, meant to run inside the training step:

    jax.vmap(functools.partial(synthesize, options=options))(keys, transmissions, reflections)

with `keys` derived by `jax.random.fold_in(jax.random.key(seed), index)`; seed, index and the two photographs determine
a sequence. Under vmap a branch costs as much as both its sides, so the code has no branches: the reflection is blurred
once, on the canvas, by the drawn kernel, and the mixing models share one formula.
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
    DSRNET,
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

# Stream of the random draws of the reflected scene, beyond the streams 0, 1, 2, ... of `split`.
_SCENE = 1_000


class Sequence(NamedTuple):
    """Three views through a pane and their ground truth.

    The frames are t-1, t, t+1 in this order; the two neighbors are t-1 and t+1. All arrays are float32.

    Attributes:
        frames: [3, H, W, 3] mixtures in [0, 1], with sensor noise and compression.
        transmission: [3, H, W, 3] in [0, 1], not attenuated.
        reflection: [3, H, W, 3] in [0, 1], the residual layer as it appears in the mixture.
        flow_t: [2, H, W, 2] flow of the transmission in pixels, x before y; point p of frame t is at p + flow_t(p) in
            the neighbor.
        flow_r: [2, H, W, 2] flow of the reflection.
        valid_t: [2, H, W] 1 where that point lies inside the neighbor and is not hidden there, else 0.
        valid_r: [2, H, W] validity of `flow_r`.
        params: parameters of the mixing.
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
        frame: [H, W, 3] mixture in [0, 1], with sensor noise and compression.
        transmission: [H, W, 3] in [0, 1], not attenuated.
        reflection: [H, W, 3] in [0, 1], the residual layer as it appears in the mixture.
        params: parameters of the mixing.
    """

    frame: jax.Array
    transmission: jax.Array
    reflection: jax.Array
    params: MixingParameters


def synthesize(
    key: jax.Array, transmission: jax.Array, reflection: jax.Array, *, options: MultiviewOptions
) -> Sequence:
    """Makes one sequence (distillation specification, section 6).

    Rules of the specification reject pairs of photographs, but traced code cannot draw another pair. Instead, a pair
    that Zhang's rule rejects is mixed by another model (`draw_mixing`), and a layer that is too dark is brightened
    until its maximum in the middle frame reaches `options.minimum_peak`; a black layer stays black. After that only
    wen can make a mixture darker than the specified 0.1, and such mixtures are kept.

    Args:
        key: PRNG key.
        transmission: [Hc, Wc, 3] float32 in [0, 1], of size `options.canvas`.
        reflection: reflected scene of the same shape, at least 0; lamps may exceed 1.
        options: sizes, probabilities, ranges. Static.

    Returns:
        The sequence.

    Raises:
        UserError: A layer has another shape or type.
    """
    _check_layers(transmission, reflection, options.canvas, options)
    keys = jax.random.split(key, 4)
    geometry = draw_geometry(keys[0], options=options)
    planes = draw_planes(keys[1], options=options)
    motion = layer_motion(geometry, planes, options=options)
    layer_t = render_transmission(transmission, geometry, planes, options=options)
    layer_t = _brighten(layer_t, layer_t[1], options)
    reflection = _brighten(reflection, crop_canvas(reflection, options=options), options, ceiling=math.inf)
    # A separate key, so that the draws from the other keys do not depend on the options of the scene.
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
    """Makes one mixture, for training on single images, by the same models and rules.

    The blur pads the image as the published code of each model does: ceilnet and dsrnet with zeros, the others by
    reflection. For exactly the mixtures of the ERRNet family, use `model_probabilities=(1, 0, 0, 0, 0)` (or
    `(0.5, 0.5, 0, 0, 0)`), `blur_probabilities=(0, 0, 1)` and probability 0 of ghosting, noise and JPEG.

    Args:
        key: PRNG key.
        transmission: [H, W, 3] float32 in [0, 1], of size `options.size` (without a margin).
        reflection: reflected scene of the same shape, at least 0; lamps may exceed 1.
        options: sizes, probabilities, ranges. Static.

    Returns:
        The mixture.

    Raises:
        UserError: A layer has another shape or type.
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
    """Mixes the layers of a sample again, without sensor noise and compression.

    Args:
        sample: a sequence or mixture (use `jax.vmap` for a batch).

    Returns:
        [3, H, W, 3] for a sequence, [H, W, 3] for a mixture, in [0, 1].
    """
    if isinstance(sample, Sequence):
        return compose(sample.transmission, sample.reflection, sample.params)
    return compose(sample.transmission[None], sample.reflection[None], sample.params)[0]


def _form_reflection(reflection: jax.Array, params: MixingParameters, options: MultiviewOptions) -> jax.Array:
    """Blurs and doubles the reflected scene in the light in which its mixing model adds."""
    # CEILNet's subtraction is made for photographs: a lamp of several times white would remove everything else.
    light = jnp.where(params.model == CEILNET, jnp.minimum(reflection, 1.0), model_light(reflection, params.model))
    reach = max(5, math.ceil(2.0 * max(options.blur_weak[1], *(high for _, high in options.blur_own))))
    kernel = gaussian_kernel(jnp.maximum(params.blur_sigma, 0.1), params.blur_radius, taps=2 * reach + 1)
    zero_border = (params.model == CEILNET) | (params.model == DSRNET)
    blurred = gaussian_blur(light, kernel, reflect=~zero_border)
    return ghost(blurred, params.ghost_shift, params.ghost_strength, reach=math.ceil(options.ghosting_shift[1]))


def _brighten(layer: jax.Array, visible: jax.Array, options: MultiviewOptions, *, ceiling: float = 1.0) -> jax.Array:
    peak = jnp.max(visible)
    gain = jnp.where(peak > 0.0, jnp.maximum(options.minimum_peak / jnp.maximum(peak, 1e-6), 1.0), 1.0)
    return jnp.minimum(layer * gain, ceiling)


def _to_unit_square(homographies: jax.Array, canvas: tuple[int, int], border: int) -> jax.Array:
    """Composes maps to pixels of the middle frame with the map from there to the unit square of the canvas."""
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
            raise UserError(f"{name} is {layer.dtype}, expected float32 in [0, 1]: convert it (divide uint8 by 255)")
