"""Physical model of a pane: Fresnel reflectance, absorption, and reflections from both surfaces.

In linear light t = T^gamma, r = R^gamma, with the weights of `pane_weights` at every pixel's angle:
I = clip(transmitted t + front r + back r', 0, 1)^(1/gamma). r' is r, displaced if the double image of the pane is
visible. The published code uses a constant weight of r, drawn from [0.1, 0.6]: `reflectance`. Whether it adds in
display light (gamma 1) is unknown.

Sources: benchmark specification, section 4.7; Zheng et al. 2021.
"""

from __future__ import annotations

import dataclasses
import math

import jax
import jax.numpy as jnp

from sirr_jax.synthesis.ops.blur import ghost
from sirr_jax.synthesis.ops.gamma import GAMMA, to_display, to_linear
from sirr_jax.synthesis.ops.random_values import lerp, normal, uniforms
from sirr_jax.synthesis.options import Range
from sirr_jax.synthesis.reflection.base import Mixture, check_layers
from sirr_jax.synthesis.reflection.ops import superpose
from sirr_jax.synthesis.reflection.option_checks import check_number, freeze_range
from sirr_jax.synthesis.reflection.pane import PaneWeights, incidence_cosine, pane_weights
from sirr_jax.synthesis.reflection.registry import SYNTHESES, Synthesis


@dataclasses.dataclass(frozen=True)
class GlassOptions:
    """Ranges of the physical model; hashable, static.

    Attributes:
        index: refractive index of the glass, above 1.
        absorption: absorption coefficient k, per meter.
        thickness: thickness d of the pane, millimeters.
        field_of_view: horizontal field of view of the camera, degrees, above 0 and below 180.
        turn: standard deviation of the pane's rotation about the vertical axis, degrees.
        lean: standard deviation of the pane's rotation about the horizontal axis, degrees.
        double_shift: displacement between the reflections of the two surfaces, pixels, in a random direction, rounded
            to whole pixels per axis. At training sizes a window pane gives less than one pixel.
        reflectance: range of a constant weight of R; None for the weight that the pane gives.
        gamma: exponent from display light to the light in which layers are added; 1 adds in display light.

    Raises:
        UserError: A value is outside the range stated above.
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
        reflection: reflected scene, the same shape and type.
        options: ranges. Static.

    Returns:
        The mixture; parameters `absorption` (per meter), `thickness` (meters), `field_of_view` (radians), each [],
        `tilt` [2] (radians, about the vertical and the horizontal axis), `shift` [2] int32 (x before y, pixels),
        `transmittance` [H, W] (of t) and `reflectance` [H, W] (of r, both surfaces). Every pair is kept.

    Raises:
        UserError: A layer has another shape or type.
    """
    check_layers(transmission, reflection)
    height, width, _ = transmission.shape
    uniform, noise = uniforms(key, (6,), (2,))
    degree = math.pi / 180.0
    tilt = degree * jnp.asarray([options.turn, options.lean], jnp.float32) * normal(noise)
    field_of_view = degree * lerp(uniform[0], *options.field_of_view)
    absorption = lerp(uniform[1], *options.absorption)
    thickness = 1e-3 * lerp(uniform[2], *options.thickness)
    length, angle = lerp(uniform[3], *options.double_shift), 2.0 * jnp.pi * uniform[4]
    shift = jnp.round(length * jnp.stack([jnp.cos(angle), jnp.sin(angle)])).astype(jnp.int32)
    cosine = incidence_cosine(height, width, field_of_view, tilt)
    weights = pane_weights(cosine, absorption * thickness, index=options.index)
    if options.reflectance is not None:
        weights = _with_constant_reflectance(weights, lerp(uniform[5], *options.reflectance))
    light = to_linear(reflection, options.gamma)
    # With weight 0 for the image itself, only its displaced double is left.
    behind = ghost(light, shift, jnp.zeros(()), reach=math.ceil(options.double_shift[1]))
    residual = weights.front[..., None] * light + weights.back[..., None] * behind
    residual = to_display(jnp.clip(residual, 0.0, 1.0), options.gamma)
    parameters = {
        "absorption": absorption,
        "thickness": thickness,
        "field_of_view": field_of_view,
        "tilt": tilt,
        "shift": shift,
        "transmittance": weights.transmitted,
        "reflectance": weights.front + weights.back,
    }
    mixture = _compose(transmission, residual, parameters, options)
    return Mixture(mixture, transmission, residual, parameters, jnp.asarray(True))


def recompose(mixture: Mixture, *, options: GlassOptions) -> jax.Array:
    """Mixes the layers again.

    Args:
        mixture: result of `synthesize`.
        options: options given to `synthesize`.

    Returns:
        [H, W, 3] in [0, 1].
    """
    return _compose(mixture.transmission, mixture.reflection, mixture.parameters, options)


def _compose(
    transmission: jax.Array, residual: jax.Array, parameters: dict[str, jax.Array], options: GlassOptions
) -> jax.Array:
    direct = parameters["transmittance"][..., None] * to_linear(transmission, options.gamma)
    return to_display(superpose(direct, to_linear(residual, options.gamma)), options.gamma)


def _with_constant_reflectance(weights: PaneWeights, reflectance: jax.Array) -> PaneWeights:
    """Splits a constant weight between the two surfaces in the ratio of the pane."""
    total = weights.front + weights.back
    return weights._replace(
        front=reflectance * weights.front / total,
        back=reflectance * weights.back / total,
    )


SYNTHESES.add("glass", Synthesis(GlassOptions, synthesize, recompose))
