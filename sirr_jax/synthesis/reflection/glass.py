"""A mixture by the physics of a pane: Fresnel's reflectance, absorption, and both surfaces.

In linear light t = T^gamma, r = R^gamma, with the shares of `pane_weights` at every pixel's angle:
I = clip((transmitted t + front r + back r')^(1/gamma), 0, 1), r' being r, or r displaced if the pane is thick enough
to show. The published code takes a constant for the weight of r, drawn from [0.1, 0.6]: `reflectance`. Whether it adds
in display light is not known: that is gamma 1.

Sources: benchmark specification, section 4.7; Zheng et al. 2021.
"""

from __future__ import annotations

import dataclasses
import math

import jax
import jax.numpy as jnp

from sirr_jax.synthesis.multiview.mixing import GAMMA
from sirr_jax.synthesis.multiview.options import Range
from sirr_jax.synthesis.ops.blur import ghost
from sirr_jax.synthesis.ops.random_values import lerp, normal, uniforms
from sirr_jax.synthesis.reflection.base import Mixture, check_layers
from sirr_jax.synthesis.reflection.option_checks import check_number, freeze_range
from sirr_jax.synthesis.reflection.pane import PaneWeights, incidence_cosine, pane_weights


@dataclasses.dataclass(frozen=True)
class GlassOptions:
    """Ranges of the physical model; hashable, static.

    Attributes:
        index: of refraction, above 1.
        absorption: coefficient k, per meter.
        thickness: d of the pane, millimeters.
        field_of_view: of the camera across the image's width, degrees, above 0 and below 180.
        turn: standard deviation of the pane's turn about the vertical axis, degrees.
        lean: standard deviation of its turn about the horizontal axis, degrees.
        double_shift: length of the displacement, in a random direction, between what the two surfaces reflect,
            pixels, rounded to whole ones per axis. At training sizes a window pane gives less than one pixel.
        reflectance: range of a constant weight of R in place of the pane's; None for the pane's.
        gamma: exponent from display light to the light that is added; 1 adds in display light.

    Raises:
        UserError: if a value is outside what is stated above.
    """

    index: float = 1.474
    absorption: Range = (4.0, 32.0)
    thickness: Range = (3.0, 10.0)
    field_of_view: Range = (19.0, 74.0)
    turn: float = 10.0
    lean: float = 4.0
    double_shift: Range = (0.0, 0.0)
    reflectance: Range | None = None
    gamma: float = GAMMA

    def __post_init__(self) -> None:
        check_number(self, "index", least=1.0001)
        freeze_range(self, "absorption", least=0.0)
        freeze_range(self, "thickness", least=0.0)
        freeze_range(self, "field_of_view", least=0.1, most=179.0)
        check_number(self, "turn", least=0.0)
        check_number(self, "lean", least=0.0)
        freeze_range(self, "double_shift", least=0.0)
        if self.reflectance is not None:
            freeze_range(self, "reflectance", least=0.0, most=1.0)
        check_number(self, "gamma", least=0.1)


def synthesize(key: jax.Array, transmission: jax.Array, reflection: jax.Array, *, options: GlassOptions) -> Mixture:
    """Makes one mixture.

    Args:
        key: PRNG key.
        transmission: [H, W, 3] float32 in [0, 1].
        reflection: the same shape.
        options: ranges. Static.

    Returns:
        The mixture; parameters `absorption` (per meter), `thickness` (meters), `field_of_view` (radians), each [],
        `tilt` [2] (radians, about the vertical and the horizontal axis), `shift` [2] int32 (x before y, pixels),
        `transmittance` [H, W] (of t) and `reflectance` [H, W] (of r, both surfaces). Every pair is kept.

    Raises:
        UserError: if a layer's shape or type is not as stated.
    """
    check_layers(transmission, reflection)
    height, width, _ = transmission.shape
    share, noise = uniforms(key, (6,), (2,))
    degree = math.pi / 180.0
    tilt = degree * jnp.asarray([options.turn, options.lean], jnp.float32) * normal(noise)
    field_of_view = degree * lerp(share[0], *options.field_of_view)
    absorption = lerp(share[1], *options.absorption)
    thickness = 1e-3 * lerp(share[2], *options.thickness)
    length, angle = lerp(share[3], *options.double_shift), 2.0 * jnp.pi * share[4]
    shift = jnp.round(length * jnp.stack([jnp.cos(angle), jnp.sin(angle)])).astype(jnp.int32)
    cosine = incidence_cosine(height, width, field_of_view, tilt)
    weights = pane_weights(cosine, absorption * thickness, index=options.index)
    if options.reflectance is not None:
        weights = _with_constant_reflectance(weights, lerp(share[5], *options.reflectance))
    light = reflection**options.gamma
    # With the weight 0 for the image itself only its displaced double is left.
    behind = ghost(light, shift, jnp.zeros(()), reach=math.ceil(options.double_shift[1]))
    residual = weights.front[..., None] * light + weights.back[..., None] * behind
    residual = jnp.clip(residual, 0.0, 1.0) ** (1.0 / options.gamma)
    parameters = {
        "absorption": absorption,
        "thickness": thickness,
        "field_of_view": field_of_view,
        "tilt": tilt,
        "shift": shift,
        "transmittance": weights.transmitted,
        "reflectance": weights.front + weights.back,
    }
    mixed = _compose(transmission, residual, parameters, options)
    return Mixture(mixed, transmission, residual, parameters, jnp.asarray(True))


def recompose(mixture: Mixture, *, options: GlassOptions) -> jax.Array:
    """Mixes the layers again.

    Args:
        mixture: of `synthesize`.
        options: the same as there.

    Returns:
        [H, W, 3] in [0, 1].
    """
    return _compose(mixture.transmission, mixture.reflection, mixture.parameters, options)


def _compose(
    transmission: jax.Array, residual: jax.Array, parameters: dict[str, jax.Array], options: GlassOptions
) -> jax.Array:
    direct = parameters["transmittance"][..., None] * transmission**options.gamma
    return jnp.clip((direct + residual**options.gamma) ** (1.0 / options.gamma), 0.0, 1.0)


def _with_constant_reflectance(weights: PaneWeights, reflectance: jax.Array) -> PaneWeights:
    """Shares a constant weight between the surfaces as the pane does."""
    total = weights.front + weights.back
    return weights._replace(
        front=reflectance * weights.front / total,
        back=reflectance * weights.back / total,
    )
