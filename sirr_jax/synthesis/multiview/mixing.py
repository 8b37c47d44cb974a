"""The five ways of laying a reflection over a transmission, without branches.

All five are one formula. With t = T^gamma, r = R^gamma for the residual layer R as it appears in the mixture,
a transmittance g and a screen factor c,

    I = clip(g t + r - c g t r, 0, 1)^(1 / gamma)

| model | gamma | g | c | residual r, from the blurred reflection b (in the model's own light) |
|---|---|---|---|---|
| A CEILNet, ERRNet | 1 | 1 | 0 | clip(b - 1.3 (mean of t + b where above 1, minus 1), 0, 1) |
| B Zhang, IBCLN | 2.2 | alpha | 0 | V clip(b - att (the same mean, per channel, minus 1), 0, 1) |
| C screen (DSRNet) | 1 | a | 1 | clip(beta b, 0, 1) |
| D smooth mask (after Wen) | 1 | 1 - W | 0 | clip(W b, 0, 1) |
| E glass | 2.2 | alpha | 0 | clip(rho b, 0, 1) |

Sources: distillation spec, section 6.3; benchmark protocol, section 4. E is ours: what glass does, lights add and the
pane lets a part of each through, without the rules by which B keeps the sum below white. What is drawn is fixed over
the frames of a sequence, and what is measured is measured on the middle frame.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from sirr_jax.synthesis.multiview.geometry import apply_homography
from sirr_jax.synthesis.multiview.options import MultiviewOptions
from sirr_jax.synthesis.ops.grid import pixel_grid
from sirr_jax.synthesis.ops.random_values import categorical, lerp, normal, uniforms
from sirr_jax.synthesis.ops.smooth_fields import FIELD_TERMS, nearly_neutral_field, smooth_mask

CEILNET, ZHANG, SCREEN, MASK, GLASS = range(5)
GAMMA = 2.2


class MixingParameters(NamedTuple):
    """Everything that decides how the layers of one sequence are mixed.

    Attributes:
        model: [] int32, 0 to 4 for the models A (CEILNet), B (Zhang), C (screen), D (smooth mask) and E (glass).
        transmittance: [] factor on T: 1, alpha (in linear light), a, 1, alpha.
        reflectance: [] factor on the blurred reflection: 1, 1, b, 1, rho (in linear light).
        subtracted: [3] what was subtracted from the blurred reflection, per channel (models A and B).
        attenuation: [] model B's factor on the mean excess.
        blur_sigma: [] pixels; 0 for no blur.
        blur_radius: [] pixels, at which the Gaussian is cut off.
        ghost_shift: [2] int32 pixels, x before y.
        ghost_strength: [] weight of the first image; 1 for no ghost.
        vignette_offset: [2] where in model B's mask the frame lies, x before y, in widths of the frame's
            longer side.
        mask_coefficients: [K, K, 3] of model D's smooth field.
        mask_homographies: [F, 3, 3] from pixels of each frame to the unit square on which that field is
            defined.
        mask_limits: [2] least and largest value of W.
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
    """Draws a mixing model and its parameters (distillation spec, section 6.3).

    Zhang's rule rejects a pair in which mean(T) / 2 > mean(R). A traced function cannot ask for another pair,
    so the model is then redrawn among the others in proportion to their probabilities (if these are all 0, B
    stays).

    Args:
        key: PRNG key.
        transmission: [H, W, 3] of the middle frame, before mixing.
        reflection: [H, W, 3] of the middle frame, before blurring and mixing.
        mask_homographies: [F, 3, 3], see `MixingParameters`.
        options: probabilities and ranges.

    Returns:
        The parameters; `subtracted` is 0 until `residual_reflection` has measured it.
    """
    share, noise = uniforms(key, (15,), (FIELD_TERMS, FIELD_TERMS, 4))
    dark = 0.5 * jnp.mean(transmission) > jnp.mean(reflection)
    model = _draw_model(share[0], share[1], dark, options)
    sigma, radius = _draw_blur(share[2:6], model, options)
    angle = 2.0 * jnp.pi * share[6]
    length = lerp(share[7], *options.ghosting_shift)
    doubled = share[8] < options.ghosting_probability
    attenuates = is_linear(model) | (model == SCREEN)
    # Zhang's range of offsets is [0, 560 - side - 10) pixels; here the longer side counts as 256 of them.
    longer = max(options.width, options.height)
    room = jnp.asarray([550.0 / 256.0 - side / longer for side in (options.width, options.height)])
    return MixingParameters(
        model=model,
        transmittance=jnp.where(attenuates, lerp(share[10], *options.transmittance), 1.0),
        reflectance=_draw_reflectance(share[11], model, options),
        subtracted=jnp.zeros((3,)),
        attenuation=lerp(share[12], *options.attenuation),
        blur_sigma=sigma,
        blur_radius=radius,
        ghost_shift=jnp.round(length * jnp.stack([jnp.cos(angle), jnp.sin(angle)])).astype(jnp.int32),
        ghost_strength=jnp.where(doubled, lerp(share[9], *options.ghosting_strength), 1.0),
        vignette_offset=share[13:15] * room,
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
        blurred: [F, H, W, 3], at least 0, in the model's own light (linear for B and E).
        params: of `draw_mixing`.
        excess_gain: model A's factor on the mean excess over 1.

    Returns:
        The residual layer [F, H, W, 3] in [0, 1], in display light, and `params` with `subtracted` filled in.
    """
    middle = transmission.shape[0] // 2
    blend = _to_light(transmission[middle], params) + blurred[middle]
    over = (blend > 1.0).astype(blend.dtype)
    excess, count = jnp.sum(blend * over, axis=(0, 1)), jnp.sum(over, axis=(0, 1))
    pooled = jnp.broadcast_to(jnp.sum(excess, keepdims=True), (3,))
    pooled_count = jnp.broadcast_to(jnp.sum(count, keepdims=True), (3,))
    is_ceilnet = params.model == CEILNET
    mean = jnp.where(is_ceilnet, pooled, excess) / (jnp.where(is_ceilnet, pooled_count, count) + 1e-6)
    subtracts = is_ceilnet | (params.model == ZHANG)
    gain = jnp.where(is_ceilnet, excess_gain, params.attenuation)
    subtracted = jnp.where(subtracts, gain * (jnp.maximum(mean, 1.0) - 1.0), 0.0)
    # Lamps brighter than white keep their surplus through the weights of C, D and E; A and B define a
    # clip before.
    ceiling = jnp.where(subtracts, 1.0, jnp.inf)
    kept = jnp.clip(blurred - subtracted.reshape(1, 1, 1, 3), 0.0, ceiling)
    weight = jnp.where(params.model == MASK, mask_weight(params, *blurred.shape[1:3]), params.reflectance)
    vignette = jnp.where(params.model == ZHANG, vignette_weight(params, *blurred.shape[1:3]), 1.0)
    residual = jnp.clip(kept * weight * vignette[None, :, :, None], 0.0, 1.0)
    return _to_display(residual, params), params._replace(subtracted=subtracted)


def compose(transmission: jax.Array, reflection: jax.Array, params: MixingParameters) -> jax.Array:
    """Lays the residual reflection over the transmission.

    Args:
        transmission: [F, H, W, 3] in [0, 1], un-attenuated.
        reflection: [F, H, W, 3] in [0, 1], of `residual_reflection`.
        params: of the same sequence.

    Returns:
        [F, H, W, 3] in [0, 1].
    """
    masked = jnp.where(params.model == MASK, mask_weight(params, *reflection.shape[1:3]), 0.0)
    screen = jnp.where(params.model == SCREEN, 1.0, 0.0)
    direct = (params.transmittance - masked) * _to_light(transmission, params)
    light = _to_light(reflection, params)
    return _to_display(jnp.clip(direct + light - screen * direct * light, 0.0, 1.0), params)


def mask_weight(params: MixingParameters, height: int, width: int) -> jax.Array:
    """Model D's smooth three-channel mask W, which moves with the reflection.

    Args:
        params: of the sequence.
        height: rows of a frame.
        width: columns of a frame.

    Returns:
        [F, H, W, 3] within `params.mask_limits`.
    """
    points = jax.vmap(apply_homography, in_axes=(0, None))(params.mask_homographies, pixel_grid(height, width))
    return smooth_mask(params.mask_coefficients, points, params.mask_limits)


def vignette_weight(params: MixingParameters, height: int, width: int) -> jax.Array:
    """Model B's vignette, fixed in the camera's coordinates.

    Zhang et al. crop it at random from a mask of 560 x 560 pixels whose value is exp(-(x^2 + y^2) / 4), x and
    y running from -3 to 3. Here the longer side of the frame counts as 256 pixels of that mask, whatever its
    size, so that a small frame sees as much falling off as a large one.

    Args:
        params: of the sequence.
        height: rows of a frame.
        width: columns of a frame.

    Returns:
        [H, W] in (0, 1].
    """
    scale = 256.0 / max(height, width)

    def axis(count: int, offset: jax.Array) -> jax.Array:
        position = (jnp.arange(count, dtype=jnp.float32) + 0.5) * scale + 256.0 * offset
        coordinate = 6.0 * position / 560.0 - 3.0
        return jnp.exp(-0.25 * coordinate * coordinate)

    along_x = axis(width, params.vignette_offset[0])
    along_y = axis(height, params.vignette_offset[1])
    return along_y[:, None] * along_x[None, :]


def model_light(image: jax.Array, model: jax.Array) -> jax.Array:
    """Takes an image into the light in which a model adds: linear for B and E, as displayed for the others.

    Args:
        image: any shape, at least 0.
        model: [] int32.

    Returns:
        The same shape.
    """
    return jnp.where(is_linear(model), image**GAMMA, image)


def is_linear(model: jax.Array) -> jax.Array:
    """Whether a model adds in linear light.

    Args:
        model: [] int32.

    Returns:
        [] bool.
    """
    return (model == ZHANG) | (model == GLASS)


def _to_light(image: jax.Array, params: MixingParameters) -> jax.Array:
    return model_light(image, params.model)


def _to_display(image: jax.Array, params: MixingParameters) -> jax.Array:
    return jnp.where(is_linear(params.model), image ** (1.0 / GAMMA), image)


def _draw_model(share: jax.Array, second_share: jax.Array, dark: jax.Array, options: MultiviewOptions) -> jax.Array:
    probabilities = options.model_probabilities
    others = tuple(0.0 if model == ZHANG else p for model, p in enumerate(probabilities))
    first = categorical(share, probabilities)
    second = categorical(second_share, others if any(others) else probabilities)
    return jnp.where(dark & (first == ZHANG), second, first)


def _draw_reflectance(share: jax.Array, model: jax.Array, options: MultiviewOptions) -> jax.Array:
    screen, glass = lerp(share, *options.reflectance), lerp(share, *options.glass_reflectance)
    return jnp.where(model == SCREEN, screen, jnp.where(model == GLASS, glass, 1.0))


def _draw_blur(share: jax.Array, model: jax.Array, options: MultiviewOptions) -> tuple[jax.Array, jax.Array]:
    """Sigma and cut-off radius: A 11 taps, C 5 to 11 taps (DSRNet), the others 2 ceil(2 sigma) + 1."""
    kind = categorical(share[0], options.blur_probabilities)
    limits = jnp.asarray(options.blur_own)[model]
    own = lerp(share[1], limits[0], limits[1])
    weak = lerp(share[2], *options.blur_weak)
    screen_radius = 2.0 + categorical(share[3], (0.1, 0.2, 0.3, 0.4)).astype(jnp.float32)
    by_sigma = jnp.ceil(2.0 * own)
    own_radius = jnp.stack([jnp.asarray(5.0), by_sigma, screen_radius, by_sigma, by_sigma])[model]
    sigma = jnp.stack([jnp.zeros(()), weak, own])[kind]
    radius = jnp.stack([jnp.zeros(()), jnp.ceil(2.0 * weak), own_radius])[kind]
    return sigma, radius
