"""DSRNet's mixture: mostly the screen blend, else a sum with CEILNet's subtraction.

With Rb = R blurred by 5, 7, 9 or 11 taps, T' = a T and R' = b Rb: I = T' + R' - T' R' (probability 0.7), else
I = clip(T' + clip(R' - m, 0, 1), 0, 1) with m = 1.3 (mean of T' + R' where above 1, minus 1); in display light.
The target is T, not a T. The image is continued by zeros for the blur, as CEILNet's.

Sources: benchmark specification, section 4.2; Hu and Guo 2023; XReflection.
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

from sirr_jax.synthesis.multiview.options import Range
from sirr_jax.synthesis.ops.random_values import categorical, lerp, uniforms
from sirr_jax.synthesis.reflection.base import Mixture, check_layers
from sirr_jax.synthesis.reflection.ops import blur, excess
from sirr_jax.synthesis.reflection.option_checks import check_number, freeze_probabilities, freeze_range

_RADII = (2, 3, 4, 5)


@dataclasses.dataclass(frozen=True)
class DsrnetOptions:
    """Ranges and probabilities of DSRNet's model; hashable, static.

    Attributes:
        sigma: of the blur, pixels of the image.
        kernel_probabilities: of 5, 7, 9 and 11 taps; sum 1.
        transmittance: factor a on T.
        reflectance: factor b on the blurred R.
        screen_probability: share of the mixtures by the screen blend.
        excess_gain: factor on the mean excess of the others.

    Raises:
        UserError: if a value is outside what is stated above.
    """

    sigma: Range = (2.0, 5.0)
    kernel_probabilities: tuple[float, float, float, float] = (0.1, 0.2, 0.3, 0.4)
    transmittance: Range = (0.8, 1.0)
    reflectance: Range = (0.4, 1.0)
    screen_probability: float = 0.7
    excess_gain: float = 1.3

    def __post_init__(self) -> None:
        freeze_range(self, "sigma", least=0.0)
        freeze_probabilities(self, "kernel_probabilities", count=len(_RADII))
        freeze_range(self, "transmittance", least=0.0, most=1.0)
        freeze_range(self, "reflectance", least=0.0, most=1.0)
        check_number(self, "screen_probability", least=0.0, most=1.0)
        check_number(self, "excess_gain", least=0.0)


def synthesize(key: jax.Array, transmission: jax.Array, reflection: jax.Array, *, options: DsrnetOptions) -> Mixture:
    """Makes one mixture.

    Args:
        key: PRNG key.
        transmission: [H, W, 3] float32 in [0, 1].
        reflection: the same shape.
        options: ranges and probabilities. Static.

    Returns:
        The mixture; parameters, each []: `sigma`, `radius` (of the kernel), `transmittance` (a), `reflectance` (b),
        `screen` (bool) and `subtracted` (m; 0 for the screen blend). Every pair is kept.

    Raises:
        UserError: if a layer's shape or type is not as stated.
    """
    check_layers(transmission, reflection)
    (share,) = uniforms(key, (5,))
    sigma = lerp(share[0], *options.sigma)
    radius = jnp.asarray(_RADII, jnp.float32)[categorical(share[1], options.kernel_probabilities)]
    transmittance = lerp(share[2], *options.transmittance)
    reflectance = lerp(share[3], *options.reflectance)
    screen = share[4] < options.screen_probability
    weighted = reflectance * blur(reflection, sigma, radius, reach=max(_RADII), reflect=False)
    over = excess(transmittance * transmission + weighted, per_channel=False)
    subtracted = jnp.where(screen, 0.0, options.excess_gain * over)
    residual = jnp.clip(weighted - subtracted, 0.0, 1.0)
    parameters = {
        "sigma": sigma,
        "radius": radius,
        "transmittance": transmittance,
        "reflectance": reflectance,
        "screen": screen,
        "subtracted": subtracted,
    }
    mixed = _compose(transmission, residual, parameters)
    return Mixture(mixed, transmission, residual, parameters, jnp.asarray(True))


def recompose(mixture: Mixture, *, options: DsrnetOptions) -> jax.Array:
    """Mixes the layers again.

    Args:
        mixture: of `synthesize`.
        options: the same as there; not needed here.

    Returns:
        [H, W, 3] in [0, 1].
    """
    del options
    return _compose(mixture.transmission, mixture.reflection, mixture.parameters)


def _compose(transmission: jax.Array, residual: jax.Array, parameters: dict[str, jax.Array]) -> jax.Array:
    direct = parameters["transmittance"] * transmission
    common = jnp.where(parameters["screen"], direct * residual, 0.0)
    return jnp.clip(direct + residual - common, 0.0, 1.0)
