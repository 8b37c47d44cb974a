"""Inputs of colors in [-1, 1] and maps in 0..255."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from sirr_jax.errors import UserError

_COLORS = 3


def check_aux_scale(aux_scale: float) -> None:
    """Checks the factor of the maps, which must not remove or negate them.

    Raises:
        UserError: The factor is not a positive number.
    """
    if not (isinstance(aux_scale, int | float) and 0 < aux_scale < float("inf")):
        raise UserError(f"aux_scale is {aux_scale!r}; give a positive number: 1 as published, or 1/255")


def scale_maps(x: jax.Array, aux_scale: float) -> jax.Array:
    """Multiplies the channels after the colors of `x` [B, H, W, 3 + maps]. EdgeGAN specification, section 1."""
    factors = jnp.array([1.0] * _COLORS + [aux_scale] * (x.shape[-1] - _COLORS), x.dtype)
    return x * factors[None, None, None]
