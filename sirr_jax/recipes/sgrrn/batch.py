"""Raw samples -> photographs with a reflection, their layers and labels, on the device."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp

from sirr_jax.recipes.base import Tree
from sirr_jax.recipes.common.single_image_batch import single_images

IGNORED = 255
"""The label of pixels without a class."""

# Streams of random numbers, apart from those of `single_images`: two kinds may share an index.
_KIND = {"labelled_pairs": 2, "pairs": 3}


def separation_batch(
    raw: Tree, key: jax.Array, *, synthesis: str, options: Any, flip: bool, void_is_background: bool = False
) -> dict[str, jax.Array]:
    """Mix labelled photographs, take real pairs as they are, and put them into one batch.

    Args:
        raw: "labelled_pairs" (uint8 `transmission`, `reflection` [B, S, S, 3], `labels` [B, S, S]) and "pairs"
            (`mixture`, `transmission`), either or both, each with `index` [B].
        key: the run's key; each sample's draws depend on it, on the kind and on the sample's index only.
        synthesis: name of the model that mixes, see `sirr_jax.synthesis.reflection`.
        options: of that model.
        flip: whether to mirror half of the samples, left to right.
        void_is_background: whether the labelled photographs' pixels without a class become class 0.

    Returns:
        `mixture`, `target`, `reflection` float32 [B, S, S, 3] in [0, 1]; `labels` int32 [B, S, S], 255 for no class;
        `parted` bool [B], whether the reflection is known (of pairs it is not); `sample` uint32 [B], a random
        number of each sample. The mixed ones come first.
    """
    kinds = {"labelled_pairs": "single", "pairs": "pairs"}
    named = {name: raw[kind] for kind, name in kinds.items() if kind in raw}
    batch = single_images(named, key, synthesis=synthesis, options=options, turn=False)
    labels, parted, keys = [], [], []
    for kind, stream in _KIND.items():
        if kind in raw:
            index = raw[kind]["index"]
            keys.append(jax.vmap(functools.partial(jax.random.fold_in, jax.random.fold_in(key, stream)))(index))
            parted.append(jnp.full(index.shape, kind == "labelled_pairs"))
            labels.append(_labels(raw[kind], void_is_background=void_is_background))
    batch |= {"labels": jnp.concatenate(labels), "parted": jnp.concatenate(parted)}
    keys = jnp.concatenate(keys)
    if flip:
        mirror = jax.vmap(lambda own: jax.random.bernoulli(jax.random.fold_in(own, 0)))(keys)
        batch = {name: x if name == "parted" else _mirrored(mirror, x) for name, x in batch.items()}
    return batch | {"sample": jax.vmap(lambda own: jax.random.bits(jax.random.fold_in(own, 1)))(keys)}


def _labels(samples: Tree, *, void_is_background: bool) -> jax.Array:
    if "labels" not in samples:
        return jnp.full(samples["mixture"].shape[:3], IGNORED, jnp.int32)
    labels = samples["labels"].astype(jnp.int32)
    return jnp.where(labels == IGNORED, 0, labels) if void_is_background else labels


def _mirrored(mirror: jax.Array, x: jax.Array) -> jax.Array:
    return jnp.where(jnp.expand_dims(mirror, tuple(range(1, x.ndim))), jnp.flip(x, 2), x)
