"""Flips, quarter turns and time reversal."""

from __future__ import annotations

from typing import TypeVar

import jax
import jax.numpy as jnp

from sirr_jax.errors import UserError

Tree = TypeVar("Tree")


def dihedral(key: jax.Array, image: jax.Array) -> jax.Array:
    """Applies one of the eight symmetries of the square, drawn uniformly.

    Applied to the canvases (one key each) before `synthesize`, this equals in distribution flipping, rotating and
    time-reversing the finished sequences together with their flows, because the camera paths are drawn symmetrically
    under all three (except for Zhang's vignette, whose offsets end 10 of 560 pixels short of one side). So flows never
    have to be flipped.

    Args:
        key: PRNG key.
        image: [..., S, S, C]; all leading axes get the same symmetry.

    Returns:
        The same shape.

    Raises:
        UserError: The image is not square.
    """
    _check_square(image)
    return _symmetry(image, jax.random.bernoulli(key, 0.5, (3,)))


def augment_frames(key: jax.Array, layers: Tree) -> Tree:
    """Applies one symmetry of the square to all frames of all layers of a real sequence, and reverses half of them.

    Args:
        key: PRNG key.
        layers: tree of [F, S, S, C] arrays: mixtures and layers, not flows.

    Returns:
        The same tree of arrays.

    Raises:
        UserError: A layer is not square.
    """
    jax.tree.map(_check_square, layers)
    draws = jax.random.bernoulli(key, 0.5, (4,))

    def apply(frames: jax.Array) -> jax.Array:
        return _symmetry(jnp.where(draws[3], frames[::-1], frames), draws[:3])

    return jax.tree.map(apply, layers)


def _symmetry(image: jax.Array, draws: jax.Array) -> jax.Array:
    image = jnp.where(draws[0], jnp.flip(image, -2), image)
    image = jnp.where(draws[1], jnp.flip(image, -3), image)
    return jnp.where(draws[2], jnp.swapaxes(image, -2, -3), image)


def _check_square(image: jax.Array) -> None:
    if image.ndim < 3 or image.shape[-3] != image.shape[-2]:
        raise UserError(
            f"image has shape {tuple(image.shape)}, expected [..., S, S, C]: crop it to a square before augmenting"
        )
