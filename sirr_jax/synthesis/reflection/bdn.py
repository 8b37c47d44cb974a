"""BDN's mixture: a weighted mean of the transmission and a slightly blurred reflection, in 8 bits.

I = (1 - b) T + b Rb in display light, rounded to whole 255ths; Rb is R blurred by 3, 5 or 7 taps. The publication
trains on crops of 256 pixels. How its blur continues the border is not known; here it is mirrored.

Sources: benchmark specification, section 4.5; Yang et al. 2018.
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

from sirr_jax.synthesis.multiview.options import Range
from sirr_jax.synthesis.ops.random_values import categorical, lerp, uniforms
from sirr_jax.synthesis.reflection.base import Mixture, check_layers
from sirr_jax.synthesis.reflection.ops import blur
from sirr_jax.synthesis.reflection.option_checks import freeze_range

_RADII = (1, 2, 3)


@dataclasses.dataclass(frozen=True)
class BdnOptions:
    """Ranges of BDN's model; hashable, static.

    Attributes:
        sigma: of the blur, pixels of the image.
        reflectance: weight b of the blurred R; T gets 1 - b.

    Raises:
        UserError: if a value is not a range, or the weight is outside [0, 1].
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
        reflection: the same shape.
        options: ranges. Static.

    Returns:
        The mixture, in whole 255ths; `reflection` is b Rb, not rounded. Parameters, each []: `sigma`, `radius` (of
        the kernel) and `reflectance` (b). Every pair is kept.

    Raises:
        UserError: if a layer's shape or type is not as stated.
    """
    check_layers(transmission, reflection)
    (share,) = uniforms(key, (3,))
    sigma, reflectance = lerp(share[0], *options.sigma), lerp(share[2], *options.reflectance)
    radius = jnp.asarray(_RADII, jnp.float32)[categorical(share[1], (1.0,) * len(_RADII))]
    residual = reflectance * blur(reflection, sigma, radius, reach=max(_RADII), reflect=True)
    mixed = _compose(transmission, residual, reflectance)
    parameters = {"sigma": sigma, "radius": radius, "reflectance": reflectance}
    return Mixture(mixed, transmission, residual, parameters, jnp.asarray(True))


def recompose(mixture: Mixture, *, options: BdnOptions) -> jax.Array:
    """Mixes the layers again.

    Args:
        mixture: of `synthesize`.
        options: the same as there; not needed here.

    Returns:
        [H, W, 3] in [0, 1], in whole 255ths.
    """
    del options
    return _compose(mixture.transmission, mixture.reflection, mixture.parameters["reflectance"])


def _compose(transmission: jax.Array, residual: jax.Array, reflectance: jax.Array) -> jax.Array:
    mixed = jnp.clip((1.0 - reflectance) * transmission + residual, 0.0, 1.0)
    return jnp.round(255.0 * mixed) / 255.0
