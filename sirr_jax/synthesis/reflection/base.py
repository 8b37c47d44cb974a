"""Inputs and outputs common to all mixing models."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from sirr_jax.errors import UserError


class Mixture(NamedTuple):
    """A photograph through glass, made from two photographs, with its exact layers.

    Attributes:
        mixture: [H, W, 3] in [0, 1].
        transmission: [H, W, 3] in [0, 1], the target as the model defines it: the scene behind the glass, not
            attenuated by the glass.
        reflection: [H, W, 3] in [0, 1], the reflection as it appears in the mixture, after blurring, subtraction and
            weighting; in display light, even where the model adds in linear light.
        parameters: drawn and measured values by name. Together with the layers they suffice to recompose the mixture.
        kept: [] bool, false where the published rule of the model rejects the pair. Traced code cannot draw another
            pair: give the sample no weight, or replace it.
    """

    mixture: jax.Array
    transmission: jax.Array
    reflection: jax.Array
    parameters: dict[str, jax.Array]
    kept: jax.Array


def check_layers(transmission: jax.Array, reflection: jax.Array) -> None:
    """Checks shapes and types of two layers when a function is traced.

    Args:
        transmission: array that should be [H, W, 3] float32.
        reflection: array that should have the same shape and type.

    Raises:
        UserError: A layer has another shape or type, or the layers differ in size.
    """
    for name, layer in (("transmission", transmission), ("reflection", reflection)):
        if layer.ndim != 3 or layer.shape[-1] != 3:
            raise UserError(
                f"{name} has shape {tuple(layer.shape)}, expected [height, width, 3]: use RGB images, and jax.vmap or "
                "`synthesize_batch` for a batch"
            )
        if layer.dtype != jnp.float32:
            raise UserError(f"{name} is {layer.dtype}, expected float32 in [0, 1]: convert it (divide uint8 by 255)")
    if transmission.shape != reflection.shape:
        raise UserError(
            f"reflection has shape {tuple(reflection.shape)}, expected that of the transmission, "
            f"{tuple(transmission.shape)}: resize or crop both to one size"
        )
