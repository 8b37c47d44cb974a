"""What every model of a mixture takes and returns."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from sirr_jax.errors import UserError


class Mixture(NamedTuple):
    """A photograph through glass, made from two photographs, with its exact layers.

    Attributes:
        mixture: [H, W, 3] in [0, 1].
        transmission: [H, W, 3] in [0, 1], the target as the model defines it: the scene behind the glass, never
            attenuated by the glass.
        reflection: [H, W, 3] in [0, 1], what the reflection adds to the mixture, after blurring, subtraction and
            weighting; in display light, also where the model adds in linear light.
        parameters: everything that was drawn or measured, by name. With the layers it is enough to mix again.
        kept: [] bool, false where the published rule of the model throws the pair away. Traced code cannot ask for
            another pair: give the sample no weight, or replace it.
    """

    mixture: jax.Array
    transmission: jax.Array
    reflection: jax.Array
    parameters: dict[str, jax.Array]
    kept: jax.Array


def check_layers(transmission: jax.Array, reflection: jax.Array) -> None:
    """Tells a wrong shape or type in one line, when a function is traced.

    Args:
        transmission: [H, W, 3] float32 is expected.
        reflection: the same.

    Raises:
        UserError: if the layers are something else or differ in size.
    """
    for name, layer in (("transmission", transmission), ("reflection", reflection)):
        if layer.ndim != 3 or layer.shape[-1] != 3:
            raise UserError(
                f"{name} has shape {tuple(layer.shape)}, expected [height, width, 3]: use jax.vmap or "
                "`synthesize_batch` for a batch, and RGB"
            )
        if layer.dtype != jnp.float32:
            raise UserError(
                f"{name} is {layer.dtype}, expected float32 in [0, 1]: convert it (uint8 by dividing by 255)"
            )
    if transmission.shape != reflection.shape:
        raise UserError(
            f"reflection has shape {tuple(reflection.shape)}, expected that of the transmission, "
            f"{tuple(transmission.shape)}: resize or crop both to one size"
        )
