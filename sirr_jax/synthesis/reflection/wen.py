"""Wen's mixture: a separate weight for every pixel and channel.

I = W R' + (1 - W) T in display light. R' is R in focus, out of focus, or doubled by a thick pane. The authors' W
comes from a network (SynNet); by default it is a smooth random field here.

Sources: benchmark specification, section 4.4; baselines specification, sections 2.2 and 2.3; Wen et al. 2019; the
field: distillation specification, section 6.3, model D.
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

from sirr_jax.errors import UserError
from sirr_jax.synthesis.ops.blur import ghost
from sirr_jax.synthesis.ops.grid import pixel_grid
from sirr_jax.synthesis.ops.random_values import categorical, lerp, normal, uniforms
from sirr_jax.synthesis.ops.smooth_fields import FIELD_TERMS, nearly_neutral_field, smooth_mask
from sirr_jax.synthesis.options import Range
from sirr_jax.synthesis.reflection.base import Mixture, check_layers
from sirr_jax.synthesis.reflection.ops import blur, reach_of, spaced_sigma, superpose
from sirr_jax.synthesis.reflection.option_checks import check_number, freeze_probabilities, freeze_range
from sirr_jax.synthesis.reflection.registry import SYNTHESES, Synthesis

FOCUSED, DEFOCUSED, GHOSTING = range(3)


@dataclasses.dataclass(frozen=True)
class WenOptions:
    """Ranges and probabilities of Wen's model; hashable, static.

    The authors train one network per kind of reflection; the default here draws the three kinds equally often.

    Attributes:
        kind_probabilities: probabilities of a reflection in focus, out of focus, and doubled; sum 1.
        sigma: standard deviation of the blur out of focus, pixels of the image (512 a side in the publication).
        sigma_count: number of equally spaced widths from which sigma is drawn.
        shift: displacement of the double, whole pixels in x and in y, the upper end excluded; (0, 1) is no shift.
        ghosting_strength: weight att of the first image; the weight of the double is 1 - att.
        mask: lower and upper limit of the random W.

    Raises:
        UserError: A value is outside the range stated above.
    """

    kind_probabilities: tuple[float, float, float] = (1 / 3, 1 / 3, 1 / 3)
    sigma: Range = (5.0, 10.0)
    sigma_count: int = 80
    shift: tuple[int, int] = (20, 40)
    ghosting_strength: Range = (0.5, 1.0)
    mask: Range = (0.05, 0.6)

    def __post_init__(self) -> None:
        freeze_probabilities(self, "kind_probabilities", count=3)
        freeze_range(self, "sigma", least=0.0)
        check_number(self, "sigma_count", least=1, whole=True)
        freeze_range(self, "shift", least=0)
        if self.shift[0] == self.shift[1] or any(not isinstance(end, int) for end in self.shift):
            raise UserError(f"WenOptions: shift is {self.shift}: use two whole numbers; the upper one is excluded")
        freeze_range(self, "ghosting_strength", least=0.0, most=1.0)
        freeze_range(self, "mask", least=0.0, most=1.0)


def synthesize(
    key: jax.Array,
    transmission: jax.Array,
    reflection: jax.Array,
    *,
    options: WenOptions,
    mask: jax.Array | None = None,
) -> Mixture:
    """Makes one mixture.

    Args:
        key: PRNG key.
        transmission: [H, W, 3] float32 in [0, 1].
        reflection: reflected scene, the same shape and type.
        options: ranges and probabilities. Static.
        mask: W, [H, W, 3] in [0, 1], for example from SynNet; None for a smooth random one.

    Returns:
        The mixture; `reflection` is W R'. Parameters: `kind` [] int32 (0 focused, 1 defocused, 2 ghosting), `sigma`
        [] (0 unless defocused), `shift` [2] int32, x before y, and `ghosting_strength` [] (0 and 1 unless ghosting),
        `mask` [H, W, 3] and `formed` [H, W, 3], R' itself, the authors' target for R. Every pair is kept.

    Raises:
        UserError: A layer or the mask has another shape or type, or the image is not larger than the shift.
    """
    check_layers(transmission, reflection)
    height, width, _ = transmission.shape
    if min(height, width) < options.shift[1] and options.kind_probabilities[GHOSTING] > 0.0:
        raise UserError(
            f"an image of {height} x {width} pixels cannot be shifted by up to {options.shift[1] - 1}: use larger "
            "images or a smaller shift in WenOptions"
        )
    if mask is not None and (mask.shape != transmission.shape or mask.dtype != jnp.float32):
        raise UserError(
            f"mask is {mask.dtype} of shape {tuple(mask.shape)}, expected float32 of the layers' shape, "
            f"{tuple(transmission.shape)}: resize and convert it"
        )
    uniform, noise = uniforms(key, (5,), (FIELD_TERMS, FIELD_TERMS, 4))
    kind = categorical(uniform[0], options.kind_probabilities)
    sigma, radius = spaced_sigma(uniform[1], limits=options.sigma, count=options.sigma_count)
    low, high = options.shift
    shift = low + jnp.stack([categorical(uniform[axis], (1.0,) * (high - low)) for axis in (2, 3)])
    parameters = {
        "kind": kind,
        "sigma": jnp.where(kind == DEFOCUSED, sigma, 0.0),
        "shift": jnp.where(kind == GHOSTING, shift, 0),
        "ghosting_strength": jnp.where(kind == GHOSTING, lerp(uniform[4], *options.ghosting_strength), 1.0),
    }
    radius = jnp.where(kind == DEFOCUSED, radius, 0.0)
    formed = blur(reflection, parameters["sigma"], radius, reach=reach_of(options.sigma), reflect=True)
    formed = _double(formed, parameters["shift"], parameters["ghosting_strength"], reach=high - 1)
    if mask is None:
        points = (pixel_grid(height, width) + 0.5) / jnp.asarray([width, height], jnp.float32).reshape(1, 1, 2)
        mask = smooth_mask(nearly_neutral_field(normal(noise)), points, jnp.asarray(options.mask, jnp.float32))
    parameters |= {"mask": mask, "formed": formed}
    residual = mask * formed
    mixture = _compose(transmission, residual, mask)
    return Mixture(mixture, transmission, residual, parameters, jnp.asarray(True))


def recompose(mixture: Mixture, *, options: WenOptions) -> jax.Array:
    """Mixes the layers again.

    Args:
        mixture: result of `synthesize`.
        options: options given to `synthesize`; not used.

    Returns:
        [H, W, 3] in [0, 1].
    """
    del options
    return _compose(mixture.transmission, mixture.reflection, mixture.parameters["mask"])


def _compose(transmission: jax.Array, residual: jax.Array, mask: jax.Array) -> jax.Array:
    # The authors blend in [-1, 1], which is equivalent because the weights sum to 1.
    return superpose((1.0 - mask) * transmission, residual)


def _double(image: jax.Array, shift: jax.Array, strength: jax.Array, *, reach: int) -> jax.Array:
    """Adds a double, crops the border where the double has no pixels, and resizes the rest to the old size.

    The published crop swaps height and width for images that are not square; this one does not.
    """
    doubled = ghost(image, shift, strength, reach=reach)
    return _stretch(_stretch(doubled, shift[1], 0), shift[0], 1)


def _stretch(image: jax.Array, start: jax.Array, axis: int) -> jax.Array:
    """Enlarges `image[start:]` along an axis to the whole length, bilinearly, with aligned pixel edges."""
    length = image.shape[axis]
    first = start.astype(jnp.float32)
    place = (jnp.arange(length, dtype=jnp.float32) + 0.5) * ((length - first) / length) - 0.5
    position = first + jnp.maximum(place, 0.0)
    low = jnp.minimum(position.astype(jnp.int32), length - 1)
    high = jnp.minimum(low + 1, length - 1)
    upper = (position - low.astype(jnp.float32)).reshape([-1 if i == axis else 1 for i in range(image.ndim)])
    return jnp.take(image, low, axis=axis) * (1.0 - upper) + jnp.take(image, high, axis=axis) * upper


SYNTHESES.add("wen", Synthesis(WenOptions, synthesize, recompose))
