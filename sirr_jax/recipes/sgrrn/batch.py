"""Batches of mixtures, their layers and labels, made from raw samples on the device."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp

from sirr_jax.recipes.base import Tree
from sirr_jax.recipes.common.single_image_batch import single_images

IGNORED = 255
"""The label of pixels without a class."""

# Random streams, apart from those of `single_images`: two kinds may share an index.
_STREAMS = {"labelled_pairs": 2, "pairs": 3}


def separation_batch(
    raw: Tree, key: jax.Array, *, synthesis: str, options: Any, flip: bool, void_is_background: bool = False
) -> dict[str, jax.Array]:
    """Synthesizes mixtures of labelled photographs, takes real pairs as they are, and joins both into one batch.

    Args:
        raw: "labelled_pairs" (uint8 `transmission`, `reflection` [B, S, S, 3], `labels` [B, S, S]) and "pairs"
            (`mixture`, `transmission`), either or both, each with `index` [B].
        key: PRNG key of the run; the random values of a sample depend on it, on the kind and on the index alone.
        synthesis: name of the synthesis, see `sirr_jax.synthesis.reflection`.
        options: options of the synthesis.
        flip: whether to mirror half of the samples, left to right.
        void_is_background: whether the labelled photographs' pixels without a class become class 0.

    Returns:
        `mixture`, `target`, `reflection` float32 [B, S, S, 3] in [0, 1]; `labels` int32 [B, S, S], 255 for no class;
        `has_reflection` bool [B], whether the true reflection is known (false for pairs); `sample` uint32 [B], a
        random number of each sample. The synthetic samples come first.
    """
    kinds = {"labelled_pairs": "single", "pairs": "pairs"}
    layers = {name: raw[kind] for kind, name in kinds.items() if kind in raw}
    batch = single_images(layers, key, synthesis=synthesis, options=options, turn=False)
    labels, has_reflection, keys = [], [], []
    for kind, stream in _STREAMS.items():
        if kind in raw:
            index = raw[kind]["index"]
            keys.append(jax.vmap(functools.partial(jax.random.fold_in, jax.random.fold_in(key, stream)))(index))
            has_reflection.append(jnp.full(index.shape, kind == "labelled_pairs"))
            labels.append(_labels(raw[kind], void_is_background=void_is_background))
    batch |= {"labels": jnp.concatenate(labels), "has_reflection": jnp.concatenate(has_reflection)}
    sample_keys = jnp.concatenate(keys)
    if flip:
        mirror = jax.vmap(lambda key: jax.random.bernoulli(jax.random.fold_in(key, 0)))(sample_keys)
        batch = {name: x if name == "has_reflection" else _mirrored(mirror, x) for name, x in batch.items()}
    return batch | {"sample": jax.vmap(lambda key: jax.random.bits(jax.random.fold_in(key, 1)))(sample_keys)}


def _labels(samples: Tree, *, void_is_background: bool) -> jax.Array:
    if "labels" not in samples:
        return jnp.full(samples["mixture"].shape[:3], IGNORED, jnp.int32)
    labels = samples["labels"].astype(jnp.int32)
    return jnp.where(labels == IGNORED, 0, labels) if void_is_background else labels


def _mirrored(mirror: jax.Array, x: jax.Array) -> jax.Array:
    return jnp.where(jnp.expand_dims(mirror, tuple(range(1, x.ndim))), jnp.flip(x, 2), x)
