"""Batches of single images with their targets, from raw samples, for recipes without sequences."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp

from sirr_jax.recipes.base import Tree
from sirr_jax.synthesis.multiview import dihedral
from sirr_jax.synthesis.reflection import synthesize_batch


def single_images(
    raw: Tree, key: jax.Array, *, synthesis: str, options: Any, turn: bool, flip: bool = False
) -> dict[str, jax.Array]:
    """Synthesizes mixtures from photographs, takes real pairs as they are, and joins both into one batch.

    A pair of photographs that the published rule of the synthesis rejects becomes a sample without a reflection: its
    mixture is its transmission, and its reflection is black.

    Args:
        raw: "single" (uint8 `transmission`, `reflection` [B, S, S, 3]) and "pairs" (`mixture`, `transmission`), either
            or both, each with `index` [B].
        key: PRNG key of the run; the random values of a sample depend on it, on the kind and on the index alone.
        synthesis: name of the synthesis, see `sirr_jax.synthesis.reflection`.
        options: options of the synthesis.
        turn: whether to apply a random symmetry of the square, the same to all layers of a sample.
        flip: whether to mirror half of the samples, left to right, where `turn` is False.

    Returns:
        `mixture`, `target`, `reflection` (for pairs the positive part of mixture - target), float32 [B, S, S, 3] in
        [0, 1], the synthetic samples first.
    """
    parts = []
    if "single" in raw:
        samples, kind_key = raw["single"], jax.random.fold_in(key, 0)
        layers = synthesize_batch(
            kind_key, samples["transmission"], samples["reflection"], samples["index"], name=synthesis, options=options
        )
        kept = layers.kept[:, None, None, None]
        mixture = jnp.where(kept, layers.mixture, layers.transmission)
        reflection = jnp.where(kept, layers.reflection, jnp.zeros_like(layers.reflection))
        parts.append(
            _turned(kind_key, samples["index"], mixture, layers.transmission, reflection, turn=turn, flip=flip)
        )
    if "pairs" in raw:
        parts.append(real_pairs(jax.random.fold_in(key, 1), raw["pairs"], turn=turn, flip=flip))
    mixture, target, reflection = (jnp.concatenate(layer) for layer in zip(*parts, strict=True))
    return {"mixture": mixture, "target": target, "reflection": reflection}


def real_pairs(
    key: jax.Array, samples: Tree, *, turn: bool, flip: bool = False
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Converts real pairs, with random symmetries.

    Args:
        key: PRNG key of this kind of sample; the random values of a sample depend on it and on the index alone.
        samples: uint8 `mixture`, `transmission` [B, S, S, 3], and `index` [B].
        turn: whether to apply a random symmetry of the square, the same to all layers of a sample.
        flip: whether to mirror half of the samples, left to right, where `turn` is False.

    Returns:
        Mixture, target and the positive part of their difference, float32 [B, S, S, 3] in [0, 1].
    """
    mixture, target = (samples[name].astype(jnp.float32) / 255.0 for name in ("mixture", "transmission"))
    reflection = jnp.clip(mixture - target, 0.0, 1.0)
    turned = _turned(key, samples["index"], mixture, target, reflection, turn=turn, flip=flip)
    return turned[0], turned[1], turned[2]


def _turned(key: jax.Array, index: jax.Array, *layers: jax.Array, turn: bool, flip: bool) -> tuple[jax.Array, ...]:
    if not (turn or flip):
        return layers
    # Folded once more, so that the keys differ from those of the synthesis.
    keys = jax.vmap(functools.partial(jax.random.fold_in, jax.random.fold_in(key, 1)))(index)
    stacked = jax.vmap(dihedral if turn else _mirrored)(keys, jnp.stack(layers, axis=1))
    return tuple(stacked[:, i] for i in range(len(layers)))


def _mirrored(key: jax.Array, layers: jax.Array) -> jax.Array:
    """Mirrors [L, S, S, C], left to right, or does not."""
    return jnp.where(jax.random.bernoulli(key), jnp.flip(layers, 2), layers)
