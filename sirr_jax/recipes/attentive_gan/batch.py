"""Raw samples -> rainy images, clean ones and masks, on the device."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from sirr_jax.recipes.base import Tree
from sirr_jax.synthesis.raindrops import RaindropOptions, difference_mask, render

# Streams of random numbers, one per kind of sample: two kinds may share an index.
_KIND = {"photos": 0, "pairs": 1}


def raindrop_batch(
    raw: Tree, key: jax.Array, *, raindrops: RaindropOptions, mask: Mapping[str, Any], flip: bool
) -> dict[str, jax.Array]:
    """Lay drops over photographs, find the drops of real pairs, and put both into one batch.

    Args:
        raw: "photos" (uint8 `transmission` [B, S, S, 3]) and "pairs" (`mixture`, `transmission`), either or both, each
            with `index` [B].
        key: the run's key; each sample's draws depend on it, on the kind and on the sample's index only.
        raindrops: what the drops laid over photographs look like.
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
    for kind, stream in _KIND.items():
        if kind in raw:
            samples = {name: x for name, x in raw[kind].items() if name != "index"}
            keys = jax.vmap(functools.partial(jax.random.fold_in, jax.random.fold_in(key, stream)))(raw[kind]["index"])
            parts.append(jax.vmap(make[kind])(keys, samples))
    return jax.tree.map(lambda *x: jnp.concatenate(x), *parts)


def _photo(key: jax.Array, sample: Tree, *, raindrops: RaindropOptions, flip: bool) -> Tree:
    place, drops = jax.random.split(key)
    target = sample["transmission"].astype(jnp.float32) / 255.0
    # Before the drops are laid: they hang down on either side alike.
    target = _mirrored(place, target) if flip else target
    made = render(drops, target, options=raindrops)
    return {"mixture": made.image, "target": target, "mask": made.mask}


def _pair(key: jax.Array, sample: Tree, *, mask: Mapping[str, Any], flip: bool) -> Tree:
    rainy, clean = sample["mixture"], sample["transmission"]
    if flip:
        rainy, clean = _mirrored(key, jnp.stack([rainy, clean]))
    made = {"mixture": rainy, "target": clean}
    made = {name: x.astype(jnp.float32) / 255.0 for name, x in made.items()}
    return made | {"mask": difference_mask(rainy, clean, **mask)}


def _mirrored(key: jax.Array, image: jax.Array) -> jax.Array:
    return jnp.where(jax.random.bernoulli(key), jnp.flip(image, -2), image)
