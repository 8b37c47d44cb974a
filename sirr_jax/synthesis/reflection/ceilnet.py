"""CEILNet's mixture: the excess over white is subtracted from the blurred reflection.

With Rb = R blurred with 11 x 11 taps (zero padding, so its border darkens) and M = T + Rb:
m = g (mean of M over all entries above 1, minus 1), I = clip(T + clip(Rb - m, 0, 1), 0, 1), in display light.

Sources: benchmark specification, section 4.1; Fan et al. 2017; Wei et al. 2019 (ERRNet draws g from [1.3, 1.3]).
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

from sirr_jax.synthesis.ops.random_values import lerp, uniforms
from sirr_jax.synthesis.options import Range
from sirr_jax.synthesis.reflection.base import Mixture, check_layers
from sirr_jax.synthesis.reflection.ops import blur, excess, subtract_excess, superpose
from sirr_jax.synthesis.reflection.option_checks import freeze_range
from sirr_jax.synthesis.reflection.registry import SYNTHESES, Synthesis

RADIUS = 5
"""Truncation radius of the blur in pixels: 11 x 11 taps."""


@dataclasses.dataclass(frozen=True)
class CeilnetOptions:
    """Ranges of CEILNet's model; hashable, static.

    Attributes:
        sigma: standard deviation of the blur, pixels of the image.
        excess_gain: factor g on the mean excess.

    Raises:
        UserError: A value is not a range of numbers of at least 0.
    """

    sigma: Range = (2.0, 5.0)
    excess_gain: Range = (1.3, 1.3)

    def __post_init__(self) -> None:
        freeze_range(self, "sigma", least=0.0)
        freeze_range(self, "excess_gain", least=0.0)


def synthesize(key: jax.Array, transmission: jax.Array, reflection: jax.Array, *, options: CeilnetOptions) -> Mixture:
    """Makes one mixture.

    Args:
        key: PRNG key.
        transmission: [H, W, 3] float32 in [0, 1].
        reflection: reflected scene, the same shape and type.
        options: ranges. Static.

    Returns:
        The mixture; parameters `sigma`, `excess_gain` and `subtracted` (m), each []. Every pair is kept.

    Raises:
        UserError: A layer has another shape or type.
    """
    check_layers(transmission, reflection)
    (uniform,) = uniforms(key, (2,))
    sigma, gain = lerp(uniform[0], *options.sigma), lerp(uniform[1], *options.excess_gain)
    blurred = blur(reflection, sigma, jnp.asarray(float(RADIUS)), reach=RADIUS, reflect=False)
    subtracted = gain * excess(transmission + blurred, per_channel=False)
    residual = subtract_excess(blurred, subtracted)
    parameters = {"sigma": sigma, "excess_gain": gain, "subtracted": subtracted}
    return Mixture(superpose(transmission, residual), transmission, residual, parameters, jnp.asarray(True))


def recompose(mixture: Mixture, *, options: CeilnetOptions) -> jax.Array:
    """Mixes the layers again.

    Args:
        mixture: result of `synthesize`.
        options: options given to `synthesize`; not used.

    Returns:
        [H, W, 3] in [0, 1].
    """
    del options
    return superpose(mixture.transmission, mixture.reflection)


SYNTHESES.add("ceilnet", Synthesis(CeilnetOptions, synthesize, recompose))
