"""Raw samples -> single images and what they should become, for the recipes that see no moving camera."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp

from sirr_jax.recipes.base import Tree
from sirr_jax.synthesis.multiview import dihedral
from sirr_jax.synthesis.reflection import synthesize_batch


def single_images(raw: Tree, key: jax.Array, *, synthesis: str, options: Any, turn: bool) -> dict[str, jax.Array]:
    """Mix photographs, take real pairs as they are, and put them into one batch.

    A pair of photographs that the synthesis's published rule rejects becomes a photograph without a reflection: its
    mixture is its transmission, and its reflection is black.

    Args:
        raw: "single" (uint8 `transmission`, `reflection` [B, S, S, 3]) and "pairs" (`mixture`, `transmission`), either
            or both, each with `index` [B].
        key: the run's key; each sample's draws depend on it, on the kind and on the sample's index only.
        synthesis: name of the model that mixes, see `sirr_jax.synthesis.reflection`.
        options: of that model.
        turn: whether to apply a random symmetry of the square, the same to all layers of a sample.

    Returns:
        `mixture`, `target`, `reflection` (of pairs: what the image has more than the target), float32 [B, S, S, 3] in
        [0, 1], the synthetic samples first.
    """
    parts = []
    if "single" in raw:
        samples, kind_key = raw["single"], jax.random.fold_in(key, 0)
        made = synthesize_batch(
            kind_key, samples["transmission"], samples["reflection"], samples["index"], name=synthesis, options=options
        )
        kept = made.kept[:, None, None, None]
        image = jnp.where(kept, made.mixture, made.transmission)
        reflection = jnp.where(kept, made.reflection, jnp.zeros_like(made.reflection))
        parts.append(_turned(kind_key, samples["index"], image, made.transmission, reflection, turn=turn))
    if "pairs" in raw:
        samples, kind_key = raw["pairs"], jax.random.fold_in(key, 1)
        image, target = (samples[name].astype(jnp.float32) / 255.0 for name in ("mixture", "transmission"))
        reflection = jnp.clip(image - target, 0.0, 1.0)
        parts.append(_turned(kind_key, samples["index"], image, target, reflection, turn=turn))
    image, target, reflection = (jnp.concatenate(layer) for layer in zip(*parts, strict=True))
    return {"mixture": image, "target": target, "reflection": reflection}


def _turned(key: jax.Array, index: jax.Array, *layers: jax.Array, turn: bool) -> tuple[jax.Array, ...]:
    if not turn:
        return layers
    # Apart from the keys that the synthesis draws from.
    keys = jax.vmap(functools.partial(jax.random.fold_in, jax.random.fold_in(key, 1)))(index)
    stacked = jax.vmap(dihedral)(keys, jnp.stack(layers, axis=1))
    return tuple(stacked[:, i] for i in range(len(layers)))
