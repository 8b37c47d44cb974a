"""Batches of rainy images, clean images and masks, made from raw samples on the device."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from sirr_jax.recipes.base import Tree
from sirr_jax.synthesis.raindrops import RaindropOptions, difference_mask, render

# Random streams, one per kind of sample: two kinds may share an index.
_STREAMS = {"photos": 0, "pairs": 1}


def raindrop_batch(
    raw: Tree, key: jax.Array, *, raindrops: RaindropOptions, mask: Mapping[str, Any], flip: bool
) -> dict[str, jax.Array]:
    """Renders drops over photographs, computes the masks of real pairs, and joins both into one batch.

    Args:
        raw: "photos" (uint8 `transmission` [B, S, S, 3]) and "pairs" (`mixture`, `transmission`), either or both, each
            with `index` [B].
        key: PRNG key of the run; the random values of a sample depend on it, on the kind and on the index alone.
        raindrops: options of the drops over photographs.
        mask: arguments of `difference_mask`, for pairs.
        flip: whether to mirror half of the scenes, left to right: water still runs down.

    Returns:
        `mixture`, `target` [B, S, S, 3] in [0, 1] and `mask` [B, S, S, 1], 1 where drops are, float32; photographs
        first.
    """
    make = {
        "photos": functools.partial(_photo, raindrops=raindrops, flip=flip),
        "pairs": functools.partial(_pair, mask=mask, flip=flip),
    }
    parts = []
    for kind, stream in _STREAMS.items():
        if kind in raw:
            samples = {name: x for name, x in raw[kind].items() if name != "index"}
            keys = jax.vmap(functools.partial(jax.random.fold_in, jax.random.fold_in(key, stream)))(raw[kind]["index"])
            parts.append(jax.vmap(make[kind])(keys, samples))
    return jax.tree.map(lambda *x: jnp.concatenate(x), *parts)


def _photo(key: jax.Array, sample: Tree, *, raindrops: RaindropOptions, flip: bool) -> Tree:
    mirroring, drops = jax.random.split(key)
    target = sample["transmission"].astype(jnp.float32) / 255.0
    # Before the drops are rendered: mirrored drops follow the same distribution.
    target = _mirrored(mirroring, target) if flip else target
    rendered = render(drops, target, options=raindrops)
    return {"mixture": rendered.image, "target": target, "mask": rendered.mask}


def _pair(key: jax.Array, sample: Tree, *, mask: Mapping[str, Any], flip: bool) -> Tree:
    rainy, clean = sample["mixture"], sample["transmission"]
    if flip:
        rainy, clean = _mirrored(key, jnp.stack([rainy, clean]))
    images = {name: x.astype(jnp.float32) / 255.0 for name, x in (("mixture", rainy), ("target", clean))}
    return images | {"mask": difference_mask(rainy, clean, **mask)}


def _mirrored(key: jax.Array, image: jax.Array) -> jax.Array:
    return jnp.where(jax.random.bernoulli(key), jnp.flip(image, -2), image)
