"""BDN's mixture: a weighted mean of the transmission and a slightly blurred reflection, in 8 bits.

I = (1 - b) T + b Rb in display light, rounded to whole 255ths; Rb is R blurred with 3, 5 or 7 taps. The publication
trains on crops of 256 pixels. The padding of its blur is unknown; here the image is mirrored.

Sources: benchmark specification, section 4.5; Yang et al. 2018.
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

from sirr_jax.synthesis.ops.random_values import categorical, lerp, uniforms
from sirr_jax.synthesis.options import Range
from sirr_jax.synthesis.reflection.base import Mixture, check_layers
from sirr_jax.synthesis.reflection.ops import blur, superpose
from sirr_jax.synthesis.reflection.option_checks import freeze_range
from sirr_jax.synthesis.reflection.registry import SYNTHESES, Synthesis

_RADII = (1, 2, 3)


@dataclasses.dataclass(frozen=True)
class BdnOptions:
    """Ranges of BDN's model; hashable, static.

    Attributes:
        sigma: standard deviation of the blur, pixels of the image.
        reflectance: weight b of the blurred R; the weight of T is 1 - b.

    Raises:
        UserError: A value is not a range, or the weight is outside [0, 1].
    """

    sigma: Range = (0.0, 2.0)
    reflectance: Range = (0.2, 0.4)

    def __post_init__(self) -> None:
        freeze_range(self, "sigma", least=0.0)
        freeze_range(self, "reflectance", least=0.0, most=1.0)


def synthesize(key: jax.Array, transmission: jax.Array, reflection: jax.Array, *, options: BdnOptions) -> Mixture:
    """Makes one mixture.

    Args:
        key: PRNG key.
        transmission: [H, W, 3] float32 in [0, 1].
        reflection: reflected scene, the same shape and type.
        options: ranges. Static.

    Returns:
        The mixture, in whole 255ths; `reflection` is b Rb, not rounded. Parameters, each []: `sigma`, `radius` (of
        the kernel) and `reflectance` (b). Every pair is kept.

    Raises:
        UserError: A layer has another shape or type.
    """
    check_layers(transmission, reflection)
    (uniform,) = uniforms(key, (3,))
    sigma, reflectance = lerp(uniform[0], *options.sigma), lerp(uniform[2], *options.reflectance)
    radius = jnp.asarray(_RADII, jnp.float32)[categorical(uniform[1], (1.0,) * len(_RADII))]
    residual = reflectance * blur(reflection, sigma, radius, reach=max(_RADII), reflect=True)
    mixture = _compose(transmission, residual, reflectance)
    parameters = {"sigma": sigma, "radius": radius, "reflectance": reflectance}
    return Mixture(mixture, transmission, residual, parameters, jnp.asarray(True))


def recompose(mixture: Mixture, *, options: BdnOptions) -> jax.Array:
    """Mixes the layers again.

    Args:
        mixture: result of `synthesize`.
        options: options given to `synthesize`; not used.

    Returns:
        [H, W, 3] in [0, 1], in whole 255ths.
    """
    del options
    return _compose(mixture.transmission, mixture.reflection, mixture.parameters["reflectance"])


def _compose(transmission: jax.Array, residual: jax.Array, reflectance: jax.Array) -> jax.Array:
    return jnp.round(255.0 * superpose((1.0 - reflectance) * transmission, residual)) / 255.0


SYNTHESES.add("bdn", Synthesis(BdnOptions, synthesize, recompose))
