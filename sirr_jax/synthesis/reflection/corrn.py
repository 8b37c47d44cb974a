"""CoRRN's mixture: a weighted sum with one of three pairs of weights.

I = clip(w_T T + w_R Rb, 0, 1) in display light; Rb is R blurred with sigma 0.4 pixels (3 taps, mirrored border).
The publication takes R from photographs of reflections and trains at 96 x 128 pixels.

Sources: benchmark specification, section 4.6; Wan et al. 2019.
"""

from __future__ import annotations

import dataclasses
import math

import jax
import jax.numpy as jnp

from sirr_jax.errors import UserError
from sirr_jax.synthesis.ops.random_values import categorical, uniforms
from sirr_jax.synthesis.reflection.base import Mixture, check_layers
from sirr_jax.synthesis.reflection.ops import blur, superpose
from sirr_jax.synthesis.reflection.option_checks import check_number
from sirr_jax.synthesis.reflection.registry import SYNTHESES, Synthesis


@dataclasses.dataclass(frozen=True)
class CorrnOptions:
    """Constants of CoRRN's model; hashable, static.

    Attributes:
        sigma: standard deviation of the blur, pixels of the image.
        weights: pairs (w_T, w_R) of numbers from 0 to 1; one pair is drawn per mixture.

    Raises:
        UserError: A value is outside the range stated above.
    """

    sigma: float = 0.4
    weights: tuple[tuple[float, float], ...] = ((0.8, 0.7), (0.9, 0.8), (0.7, 0.9))

    def __post_init__(self) -> None:
        check_number(self, "sigma", least=0.0)
        try:
            pairs = tuple((float(direct), float(reflected)) for direct, reflected in self.weights)
        except (TypeError, ValueError):
            pairs = ()
        if not pairs or not all(0.0 <= weight <= 1.0 for pair in pairs for weight in pair):
            raise UserError(f"CorrnOptions: weights is {self.weights!r}: use pairs (w_T, w_R) of numbers from 0 to 1")
        object.__setattr__(self, "weights", pairs)


def synthesize(key: jax.Array, transmission: jax.Array, reflection: jax.Array, *, options: CorrnOptions) -> Mixture:
    """Makes one mixture.

    Args:
        key: PRNG key.
        transmission: [H, W, 3] float32 in [0, 1].
        reflection: reflected scene, the same shape and type.
        options: constants. Static.

    Returns:
        The mixture; `reflection` is w_R Rb. Parameters, each []: `transmittance` (w_T) and `reflectance` (w_R).
        Every pair is kept.

    Raises:
        UserError: A layer has another shape or type.
    """
    check_layers(transmission, reflection)
    (uniform,) = uniforms(key, (1,))
    weights = jnp.asarray(options.weights, jnp.float32)[categorical(uniform[0], (1.0,) * len(options.weights))]
    parameters = {"transmittance": weights[0], "reflectance": weights[1]}
    reach = math.ceil(2.0 * options.sigma)
    blurred = blur(reflection, jnp.asarray(options.sigma), jnp.asarray(float(reach)), reach=reach, reflect=True)
    residual = parameters["reflectance"] * blurred
    mixture = _compose(transmission, residual, parameters)
    return Mixture(mixture, transmission, residual, parameters, jnp.asarray(True))


def recompose(mixture: Mixture, *, options: CorrnOptions) -> jax.Array:
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
    return superpose(parameters["transmittance"] * transmission, residual)


SYNTHESES.add("corrn", Synthesis(CorrnOptions, synthesize, recompose))
