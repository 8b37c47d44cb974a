"""DSRNet's mixture: mostly the screen blend, else a sum with CEILNet's subtraction.

With Rb = R blurred with 5, 7, 9 or 11 taps, T' = a T and R' = b Rb: I = T' + R' - T' R' (probability 0.7), else
I = clip(T' + clip(R' - m, 0, 1), 0, 1) with m = 1.3 (mean of T' + R' where above 1, minus 1); in display light.
The target is T, not a T. The blur pads with zeros, as CEILNet's does.

Sources: benchmark specification, section 4.2; Hu and Guo 2023; XReflection.
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

from sirr_jax.synthesis.ops.random_values import categorical, lerp, uniforms
from sirr_jax.synthesis.options import Range
from sirr_jax.synthesis.reflection.base import Mixture, check_layers
from sirr_jax.synthesis.reflection.ops import blur, excess, subtract_excess, superpose
from sirr_jax.synthesis.reflection.option_checks import check_number, freeze_probabilities, freeze_range
from sirr_jax.synthesis.reflection.registry import SYNTHESES, Synthesis

RADII = (2, 3, 4, 5)
"""Truncation radii of the blur in pixels: 5, 7, 9 and 11 taps."""


@dataclasses.dataclass(frozen=True)
class DsrnetOptions:
    """Ranges and probabilities of DSRNet's model; hashable, static.

    Attributes:
        sigma: standard deviation of the blur, pixels of the image.
        kernel_probabilities: probabilities of 5, 7, 9 and 11 taps; sum 1.
        transmittance: factor a on T.
        reflectance: factor b on the blurred R.
        screen_probability: share of the mixtures made by the screen blend.
        excess_gain: factor on the mean excess of the other mixtures.

    Raises:
        UserError: A value is outside the range stated above.
    """

    sigma: Range = (2.0, 5.0)
    kernel_probabilities: tuple[float, float, float, float] = (0.1, 0.2, 0.3, 0.4)
    transmittance: Range = (0.8, 1.0)
    reflectance: Range = (0.4, 1.0)
    screen_probability: float = 0.7
    excess_gain: float = 1.3

    def __post_init__(self) -> None:
        freeze_range(self, "sigma", least=0.0)
        freeze_probabilities(self, "kernel_probabilities", count=len(RADII))
        freeze_range(self, "transmittance", least=0.0, most=1.0)
        freeze_range(self, "reflectance", least=0.0, most=1.0)
        check_number(self, "screen_probability", least=0.0, most=1.0)
        check_number(self, "excess_gain", least=0.0)


def synthesize(key: jax.Array, transmission: jax.Array, reflection: jax.Array, *, options: DsrnetOptions) -> Mixture:
    """Makes one mixture.

    Args:
        key: PRNG key.
        transmission: [H, W, 3] float32 in [0, 1].
        reflection: reflected scene, the same shape and type.
        options: ranges and probabilities. Static.

    Returns:
        The mixture; parameters, each []: `sigma`, `radius` (of the kernel), `transmittance` (a), `reflectance` (b),
        `screen` (bool) and `subtracted` (m; 0 for the screen blend). Every pair is kept.

    Raises:
        UserError: A layer has another shape or type.
    """
    check_layers(transmission, reflection)
    (uniform,) = uniforms(key, (5,))
    sigma = lerp(uniform[0], *options.sigma)
    radius = jnp.asarray(RADII, jnp.float32)[categorical(uniform[1], options.kernel_probabilities)]
    transmittance = lerp(uniform[2], *options.transmittance)
    reflectance = lerp(uniform[3], *options.reflectance)
    screen = uniform[4] < options.screen_probability
    weighted = reflectance * blur(reflection, sigma, radius, reach=max(RADII), reflect=False)
    over = excess(transmittance * transmission + weighted, per_channel=False)
    subtracted = jnp.where(screen, 0.0, options.excess_gain * over)
    residual = subtract_excess(weighted, subtracted)
    parameters = {
        "sigma": sigma,
        "radius": radius,
        "transmittance": transmittance,
        "reflectance": reflectance,
        "screen": screen,
        "subtracted": subtracted,
    }
    mixture = _compose(transmission, residual, parameters)
    return Mixture(mixture, transmission, residual, parameters, jnp.asarray(True))


def recompose(mixture: Mixture, *, options: DsrnetOptions) -> jax.Array:
    """Mixes the layers again.

    Args:
        mixture: result of `synthesize`.
        options: options given to `synthesize`; not used.

    Returns:
        [H, W, 3] in [0, 1].
    """
    del options
    return _compose(mixture.transmission, mixture.reflection, mixture.parameters)


def _compose(transmission: jax.Array, residual: jax.Array, parameters: dict[str, jax.Array]) -> jax.Array:
    direct = parameters["transmittance"] * transmission
    return superpose(direct, residual, jnp.where(parameters["screen"], direct * residual, 0.0))


SYNTHESES.add("dsrnet", Synthesis(DsrnetOptions, synthesize, recompose))
