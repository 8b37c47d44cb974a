"""The five mixing models of the multi-view generator as one formula without branches.

With t = T^gamma, r = R^gamma for the residual layer R as it appears in the mixture, a transmittance g and a screen
factor c,

    I = clip(g t + r - c g t r, 0, 1)^(1 / gamma)

| model | specification | gamma | g | c | residual r, from the blurred reflection b (in the model's own light) |
|---|---|---|---|---|---|
| ceilnet (CEILNet, ERRNet) | A | 1 | 1 | 0 | clip(b - 1.3 (mean of t + b where above 1, minus 1), 0, 1) |
| zhang (Zhang, IBCLN) | B | 2.2 | alpha | 0 | V clip(b - att (the same mean, per channel, minus 1), 0, 1) |
| dsrnet (DSRNet's screen blend) | C | 1 | a | 1 | clip(beta b, 0, 1) |
| wen (smooth mask, after Wen) | D | 1 | 1 - W | 0 | clip(W b, 0, 1) |
| glass | E | 2.2 | alpha | 0 | clip(rho b, 0, 1) |

The physics is that of the models of the same names in `synthesis.reflection`, whose functions this module calls: the
excess over white, the superposition of layers, gamma, Zhang's vignette, Wen's mask. Under vmap a branch costs as much
as both its sides, so what depends on the model is selected by values here. A test compares the formula with each model
pixel by pixel.

Deliberate differences from `synthesis.reflection`: the vignette is a closed form at a fixed scale (see
`vignette_weight`); dsrnet always blends by screen; wen doubles the reflection without cropping it; glass, which is our
own, has constant weights for the whole image instead of Fresnel's at every pixel.

Sources: distillation specification, section 6.3; benchmark protocol, section 4. Drawn values are constant over the
frames of a sequence, and measured values are measured on the middle frame.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from sirr_jax.synthesis.multiview.geometry import apply_homography
from sirr_jax.synthesis.multiview.options import MIXING_MODELS, MultiviewOptions
from sirr_jax.synthesis.ops.gamma import to_display, to_linear
from sirr_jax.synthesis.ops.grid import pixel_grid
from sirr_jax.synthesis.ops.random_values import categorical, lerp, normal, uniforms
from sirr_jax.synthesis.ops.smooth_fields import FIELD_TERMS, nearly_neutral_field, smooth_mask
from sirr_jax.synthesis.reflection import ceilnet, dsrnet, zhang
from sirr_jax.synthesis.reflection.ops import mean_excess, subtract_excess, sums_above_white, superpose
from sirr_jax.synthesis.reflection.vignette import OFFSET_END, smooth_profile

CEILNET, ZHANG, DSRNET, WEN, GLASS = range(len(MIXING_MODELS))

_VIGNETTE_SIDE = 256.0
"""Pixels of Zhang's mask that the longer side of a frame covers."""


class MixingParameters(NamedTuple):
    """Everything that determines how the layers of one sequence are mixed.

    Attributes:
        model: [] int32, index in `MIXING_MODELS`: 0 ceilnet, 1 zhang, 2 dsrnet, 3 wen, 4 glass.
        transmittance: [] factor on T; 1 for ceilnet and wen, in linear light for zhang and glass.
        reflectance: [] factor on the blurred reflection; 1 except for dsrnet (b) and glass (rho, in linear light).
        subtracted: [3] amount subtracted from the blurred reflection, per channel (ceilnet, zhang; 0 for the others).
        attenuation: [] factor of zhang on the mean excess.
        blur_sigma: [] standard deviation of the blur in pixels; 0 for no blur.
        blur_radius: [] truncation radius of the Gaussian in pixels.
        ghost_shift: [2] int32, displacement of the double in pixels, x before y.
        ghost_strength: [] weight of the first image; 1 for no double.
        vignette_offset: [2] position of the frame in zhang's vignette, x before y, in units of 256 pixels of the mask,
            which is the longer side of the frame.
        mask_coefficients: [K, K, 3] coefficients of wen's smooth field.
        mask_homographies: [F, 3, 3] maps from pixels of each frame to the unit square on which that field is defined.
        mask_limits: [2] lower and upper limit of wen's mask W.
    """

    model: jax.Array
    transmittance: jax.Array
    reflectance: jax.Array
    subtracted: jax.Array
    attenuation: jax.Array
    blur_sigma: jax.Array
    blur_radius: jax.Array
    ghost_shift: jax.Array
    ghost_strength: jax.Array
    vignette_offset: jax.Array
    mask_coefficients: jax.Array
    mask_homographies: jax.Array
    mask_limits: jax.Array


def draw_mixing(
    key: jax.Array,
    transmission: jax.Array,
    reflection: jax.Array,
    mask_homographies: jax.Array,
    *,
    options: MultiviewOptions,
) -> MixingParameters:
    """Draws a mixing model and its parameters (distillation specification, section 6.3).

    Zhang's rule rejects a pair in which mean(T) / 2 > mean(R). Traced code cannot draw another pair, so the model is
    then redrawn among the others in proportion to their probabilities (if these are all 0, zhang is kept).

    Args:
        key: PRNG key.
        transmission: [H, W, 3] transmission of the middle frame, before mixing.
        reflection: [H, W, 3] reflected scene of the middle frame, before blurring and mixing.
        mask_homographies: [F, 3, 3], see `MixingParameters`.
        options: probabilities and ranges. Static.

    Returns:
        The parameters; `subtracted` is 0 until `residual_reflection` measures it.
    """
    uniform, noise = uniforms(key, (15,), (FIELD_TERMS, FIELD_TERMS, 4))
    too_dim = zhang.is_too_dim(transmission, reflection)
    model = _draw_model(uniform[0], uniform[1], too_dim, options)
    sigma, radius = _draw_blur(uniform[2:6], model, options)
    angle = 2.0 * jnp.pi * uniform[6]
    length = lerp(uniform[7], *options.ghosting_shift)
    doubled = uniform[8] < options.ghosting_probability
    attenuates = is_linear(model) | (model == DSRNET)
    longer = max(options.width, options.height)
    room = jnp.asarray([OFFSET_END / _VIGNETTE_SIDE - side / longer for side in (options.width, options.height)])
    return MixingParameters(
        model=model,
        transmittance=jnp.where(attenuates, lerp(uniform[10], *options.transmittance), 1.0),
        reflectance=_draw_reflectance(uniform[11], model, options),
        subtracted=jnp.zeros((3,)),
        attenuation=lerp(uniform[12], *options.attenuation),
        blur_sigma=sigma,
        blur_radius=radius,
        ghost_shift=jnp.round(length * jnp.stack([jnp.cos(angle), jnp.sin(angle)])).astype(jnp.int32),
        ghost_strength=jnp.where(doubled, lerp(uniform[9], *options.ghosting_strength), 1.0),
        vignette_offset=uniform[13:15] * room,
        mask_coefficients=nearly_neutral_field(normal(noise)),
        mask_homographies=mask_homographies,
        mask_limits=jnp.asarray(options.mask),
    )


def residual_reflection(
    transmission: jax.Array, blurred: jax.Array, params: MixingParameters, *, excess_gain: float = 1.3
) -> tuple[jax.Array, MixingParameters]:
    """Turns the blurred reflection into the residual layer that appears in the mixture.

    Args:
        transmission: [F, H, W, 3] in [0, 1], F odd.
        blurred: [F, H, W, 3], at least 0, in the model's own light (linear for zhang and glass).
        params: parameters from `draw_mixing`.
        excess_gain: factor of ceilnet on the mean excess over 1.

    Returns:
        The residual layer [F, H, W, 3] in [0, 1], in display light, and `params` with `subtracted` filled in.
    """
    middle = transmission.shape[0] // 2
    total, count = sums_above_white(_to_light(transmission[middle], params) + blurred[middle], axes=(0, 1))
    # CEILNet takes one mean of all channels, Zhang one per channel.
    pooled_total = jnp.broadcast_to(jnp.sum(total, keepdims=True), (3,))
    pooled_count = jnp.broadcast_to(jnp.sum(count, keepdims=True), (3,))
    is_ceilnet = params.model == CEILNET
    excess = mean_excess(jnp.where(is_ceilnet, pooled_total, total), jnp.where(is_ceilnet, pooled_count, count))
    subtracts = is_ceilnet | (params.model == ZHANG)
    gain = jnp.where(is_ceilnet, excess_gain, params.attenuation)
    subtracted = jnp.where(subtracts, gain * excess, 0.0)
    # Lamps brighter than white keep their surplus until the weights of dsrnet, wen and glass are applied; ceilnet and
    # zhang clip before.
    remaining = subtract_excess(blurred, subtracted.reshape(1, 1, 1, 3), jnp.where(subtracts, 1.0, jnp.inf))
    weight = jnp.where(params.model == WEN, mask_weight(params, *blurred.shape[1:3]), params.reflectance)
    vignette = jnp.where(params.model == ZHANG, vignette_weight(params, *blurred.shape[1:3]), 1.0)
    residual = jnp.clip(remaining * weight * vignette[None, :, :, None], 0.0, 1.0)
    return _to_display(residual, params), params._replace(subtracted=subtracted)


def compose(transmission: jax.Array, reflection: jax.Array, params: MixingParameters) -> jax.Array:
    """Adds the residual reflection to the transmission.

    Args:
        transmission: [F, H, W, 3] in [0, 1], not attenuated.
        reflection: [F, H, W, 3] in [0, 1], from `residual_reflection`.
        params: parameters of the same sequence.

    Returns:
        [F, H, W, 3] in [0, 1].
    """
    masked = jnp.where(params.model == WEN, mask_weight(params, *reflection.shape[1:3]), 0.0)
    screen = jnp.where(params.model == DSRNET, 1.0, 0.0)
    direct = (params.transmittance - masked) * _to_light(transmission, params)
    light = _to_light(reflection, params)
    return _to_display(superpose(direct, light, screen * direct * light), params)


def mask_weight(params: MixingParameters, height: int, width: int) -> jax.Array:
    """Evaluates wen's smooth three-channel mask W, which moves with the reflection.

    Args:
        params: parameters of the sequence.
        height: number of rows of a frame.
        width: number of columns of a frame.

    Returns:
        [F, H, W, 3] within `params.mask_limits`.
    """
    points = jax.vmap(apply_homography, in_axes=(0, None))(params.mask_homographies, pixel_grid(height, width))
    return smooth_mask(params.mask_coefficients, points, params.mask_limits)


def vignette_weight(params: MixingParameters, height: int, width: int) -> jax.Array:
    """Evaluates zhang's vignette, which is fixed in the coordinates of the camera.

    Zhang et al. crop it at random, pixel by pixel, from a mask of 560 x 560 pixels (`synthesis.reflection.vignette`).
    Here the longer side of the frame covers 256 pixels of that mask, whatever the size of the frame, so that the
    vignette of a small frame falls off as much as that of a large one; and the mask is a closed form.

    Args:
        params: parameters of the sequence.
        height: number of rows of a frame.
        width: number of columns of a frame.

    Returns:
        [H, W] in (0, 1].
    """
    scale = _VIGNETTE_SIDE / max(height, width)

    def along(count: int, offset: jax.Array) -> jax.Array:
        return smooth_profile((jnp.arange(count, dtype=jnp.float32) + 0.5) * scale + _VIGNETTE_SIDE * offset)

    along_x = along(width, params.vignette_offset[0])
    along_y = along(height, params.vignette_offset[1])
    return along_y[:, None] * along_x[None, :]


def model_light(image: jax.Array, model: jax.Array) -> jax.Array:
    """Converts an image to the light in which a model adds: linear for zhang and glass, display for the others.

    Args:
        image: any shape, at least 0.
        model: [] int32 index in `MIXING_MODELS`.

    Returns:
        The same shape.
    """
    return jnp.where(is_linear(model), to_linear(image), image)


def is_linear(model: jax.Array) -> jax.Array:
    """Returns whether a model adds in linear light.

    Args:
        model: [] int32 index in `MIXING_MODELS`.

    Returns:
        [] bool.
    """
    return (model == ZHANG) | (model == GLASS)


def _to_light(image: jax.Array, params: MixingParameters) -> jax.Array:
    return model_light(image, params.model)


def _to_display(image: jax.Array, params: MixingParameters) -> jax.Array:
    return jnp.where(is_linear(params.model), to_display(image), image)


def _draw_model(uniform: jax.Array, second: jax.Array, too_dim: jax.Array, options: MultiviewOptions) -> jax.Array:
    probabilities = options.model_probabilities
    others = tuple(0.0 if model == ZHANG else p for model, p in enumerate(probabilities))
    first_model = categorical(uniform, probabilities)
    second_model = categorical(second, others if any(others) else probabilities)
    return jnp.where(too_dim & (first_model == ZHANG), second_model, first_model)


def _draw_reflectance(uniform: jax.Array, model: jax.Array, options: MultiviewOptions) -> jax.Array:
    by_dsrnet, by_glass = lerp(uniform, *options.reflectance), lerp(uniform, *options.glass_reflectance)
    return jnp.where(model == DSRNET, by_dsrnet, jnp.where(model == GLASS, by_glass, 1.0))


def _draw_blur(uniform: jax.Array, model: jax.Array, options: MultiviewOptions) -> tuple[jax.Array, jax.Array]:
    """Sigma and truncation radius: 11 taps for ceilnet, 5 to 11 for dsrnet, 2 ceil(2 sigma) + 1 for the others."""
    strength = categorical(uniform[0], options.blur_probabilities)
    limits = jnp.asarray(options.blur_own)[model]
    own = lerp(uniform[1], limits[0], limits[1])
    weak = lerp(uniform[2], *options.blur_weak)
    probabilities = dsrnet.DsrnetOptions.kernel_probabilities
    dsrnet_radius = float(dsrnet.RADII[0]) + categorical(uniform[3], probabilities).astype(jnp.float32)
    by_sigma = jnp.ceil(2.0 * own)
    own_radius = jnp.stack([jnp.asarray(float(ceilnet.RADIUS)), by_sigma, dsrnet_radius, by_sigma, by_sigma])[model]
    sigma = jnp.stack([jnp.zeros(()), weak, own])[strength]
    radius = jnp.stack([jnp.zeros(()), jnp.ceil(2.0 * weak), own_radius])[strength]
    return sigma, radius
