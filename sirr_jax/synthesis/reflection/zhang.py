"""Zhang's mixture, in linear light: a vignetted reflection over a slightly attenuated transmission.

With t = T^2.2, rb = the blurred R^2.2 (mirrored about the outermost pixels), V = a crop of a vignette and, per channel,
mean = max(1, mean of t + rb where above 1): rb = clip(rb - att (mean - 1), 0, 1), I = clip(V rb + alpha t)^(1/2.2).
The targets are T and (V rb)^(1/2.2).

Sources: benchmark specification, section 4.3; SGRRN specification, section 9.2; Zhang et al. 2018. ERRNet's second
model is the same; IBCLN (Li et al. 2020) takes sigma from [2, 5].
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

from sirr_jax.synthesis.ops.gamma import to_display, to_linear
from sirr_jax.synthesis.ops.random_values import lerp, uniforms
from sirr_jax.synthesis.options import Range
from sirr_jax.synthesis.reflection.base import Mixture, check_layers
from sirr_jax.synthesis.reflection.ops import blur, excess, reach_of, spaced_sigma, subtract_excess, superpose
from sirr_jax.synthesis.reflection.option_checks import check_number, freeze_range
from sirr_jax.synthesis.reflection.registry import SYNTHESES, Synthesis
from sirr_jax.synthesis.reflection.vignette import LARGEST_WINDOW, draw_offset, vignette


@dataclasses.dataclass(frozen=True)
class ZhangOptions:
    """Ranges of Zhang's model; hashable, static.

    Attributes:
        sigma: standard deviation of the blur, pixels of the image; (2, 5) in IBCLN.
        sigma_count: number of equally spaced widths from which sigma is drawn.
        attenuation: factor att on the mean excess.
        transmittance: factor alpha on T, in linear light.
        vignette_side: number of the vignette's 560 pixels that the longer side of an image covers, 1 to 549. None: one
            per pixel of the image, as published; images of more than 549 pixels a side then do not fit.
        least_target: lower limit of the maximum of each target; pairs below it are rejected.
        least_mixture: lower limit of the maximum of the mixture; pairs below it are rejected.

    Raises:
        UserError: A value is outside the range stated above.
    """

    sigma: Range = (1.0, 5.0)
    sigma_count: int = 80
    attenuation: Range = (1.08, 1.18)
    transmittance: Range = (0.8, 1.0)
    vignette_side: int | None = None
    least_target: float = 0.15
    least_mixture: float = 0.1

    def __post_init__(self) -> None:
        freeze_range(self, "sigma", least=0.0)
        check_number(self, "sigma_count", least=1, whole=True)
        freeze_range(self, "attenuation", least=0.0)
        freeze_range(self, "transmittance", least=0.0, most=1.0)
        if self.vignette_side is not None:
            check_number(self, "vignette_side", least=1, most=LARGEST_WINDOW, whole=True)
        check_number(self, "least_target", least=0.0, most=1.0)
        check_number(self, "least_mixture", least=0.0, most=1.0)


def synthesize(key: jax.Array, transmission: jax.Array, reflection: jax.Array, *, options: ZhangOptions) -> Mixture:
    """Makes one mixture.

    Args:
        key: PRNG key.
        transmission: [H, W, 3] float32 in [0, 1].
        reflection: reflected scene, the same shape and type.
        options: ranges. Static.

    Returns:
        The mixture; parameters `sigma`, `attenuation`, `transmittance` (alpha), each [], `subtracted` [3] (of the
        linear reflection) and `vignette_offset` [2] int32, y before x, pixels of the mask. A pair is not kept if
        mean(T) / 2 > mean(R) before mixing, or if a maximum is below its limit in the options.

    Raises:
        UserError: A layer has another shape or type, or the image does not fit into the vignette.
    """
    check_layers(transmission, reflection)
    height, width, _ = transmission.shape
    (uniform,) = uniforms(key, (5,))
    offset = draw_offset(uniform[3:], height, width, longer_side=options.vignette_side)
    sigma, radius = spaced_sigma(uniform[0], limits=options.sigma, count=options.sigma_count)
    attenuation = lerp(uniform[1], *options.attenuation)
    blurred = blur(to_linear(reflection), sigma, radius, reach=reach_of(options.sigma), reflect=True)
    subtracted = attenuation * excess(to_linear(transmission) + blurred, per_channel=True)
    remaining = subtract_excess(blurred, subtracted.reshape(1, 1, 3))
    weight = vignette(offset, height, width, longer_side=options.vignette_side)
    residual = to_display(weight[..., None] * remaining)
    parameters = {
        "sigma": sigma,
        "attenuation": attenuation,
        "transmittance": lerp(uniform[2], *options.transmittance),
        "subtracted": subtracted,
        "vignette_offset": offset,
    }
    mixture = _compose(transmission, residual, parameters)
    kept = (
        ~is_too_dim(transmission, reflection)
        & (jnp.minimum(jnp.max(transmission), jnp.max(residual)) >= options.least_target)
        & (jnp.max(mixture) >= options.least_mixture)
    )
    return Mixture(mixture, transmission, residual, parameters, kept)


def is_too_dim(transmission: jax.Array, reflection: jax.Array) -> jax.Array:
    """Applies the published rule that rejects a pair before mixing: mean(T) / 2 > mean(R).

    Args:
        transmission: [H, W, 3] in [0, 1].
        reflection: reflected scene of the same shape, before blurring.

    Returns:
        [] bool, true where the pair is rejected.
    """
    return 0.5 * jnp.mean(transmission) > jnp.mean(reflection)


def recompose(mixture: Mixture, *, options: ZhangOptions) -> jax.Array:
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
    direct = parameters["transmittance"] * to_linear(transmission)
    return to_display(superpose(direct, to_linear(residual)))


SYNTHESES.add("zhang", Synthesis(ZhangOptions, synthesize, recompose))
