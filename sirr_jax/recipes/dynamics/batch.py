"""Raw samples of all kinds -> the training batch of the dynamics recipe, on the device."""

from __future__ import annotations

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp

from sirr_jax.recipes.base import Tree
from sirr_jax.synthesis.augment.color_jitter import jitter_color
from sirr_jax.synthesis.augment.hard_negatives import add_hard_negative
from sirr_jax.synthesis.multiview import (
    MultiviewOptions,
    augment_frames,
    dihedral,
    procedural_texture,
    synthesize,
    synthesize_single,
)

# Streams of random numbers, one per kind of sample: two kinds may share an index.
_KIND = {"layers": 0, "single": 1, "sequences": 2, "pairs": 3}


class Augmentation(NamedTuple):
    """How samples are varied; not at all by default.

    Attributes:
        texture_prob: share of layers replaced by procedural textures.
        color_jitter: strength of the color changes of layers, see `jitter_color`.
        hard_negative_prob: probability that a transmission becomes a hard negative, see `add_hard_negative`.
        turn: flip and turn layers, sequences and pairs, and reverse time.
    """

    texture_prob: float = 0.0
    color_jitter: float = 0.0
    hard_negative_prob: float = 0.0
    turn: bool = False


def prepare_batch(
    raw: Tree,
    key: jax.Array,
    *,
    options: MultiviewOptions,
    augmentation: Augmentation = Augmentation(),  # noqa: B008 - immutable
) -> Tree:
    """Synthesize, augment and group.

    Args:
        raw: kind -> arrays, uint8 images (see `data.loaders.build`). A "layers" or "single" entry with an index
            alone stands for procedural textures.
        key: the run's key; every sample's draws depend on it and on the sample's index only.
        options: the generator's options.
        augmentation: how to vary the samples.

    Returns:
        `views`: `frames`, `transmission`, `reflection` [B,3,H,W,3], `flow_t`, `flow_r` [B,2,H,W,2], `valid_t`,
        `valid_r` [B,2,H,W], `reflection_weight`, `flow_weight` [B]; `single`, if there are such samples: `image`,
        `target` [B,H,W,3]. All float32.
    """
    make = {
        "layers": functools.partial(_layers, options=options, augmentation=augmentation),
        "single": functools.partial(_single, options=options, augmentation=augmentation),
        "sequences": functools.partial(_sequence, turn=augmentation.turn),
        "pairs": functools.partial(_pair, turn=augmentation.turn),
    }
    made = {}
    for kind, samples in raw.items():
        kind_key = jax.random.fold_in(key, _KIND[kind])
        keys = jax.vmap(functools.partial(jax.random.fold_in, kind_key))(samples["index"])
        made[kind] = jax.vmap(make[kind])(keys, {k: v for k, v in samples.items() if k != "index"})
    groups = {"views": ("layers", "sequences"), "single": ("single", "pairs")}
    batch = {}
    for group, kinds in groups.items():
        parts = [made[kind] for kind in kinds if kind in made]
        if parts:
            batch[group] = jax.tree.map(lambda *x: jnp.concatenate(x), *parts)
    return batch


def _to_float(image: jax.Array) -> jax.Array:
    return image.astype(jnp.float32) / 255.0


def _sources(
    key: jax.Array, sample: Tree, size: tuple[int, int], augmentation: Augmentation
) -> tuple[jax.Array, jax.Array]:
    """The two layers to mix: photographs, changed in color, or textures; made to look mixed; flipped and turned."""
    layers = []
    for i, role in enumerate(("transmission", "reflection")):
        keys = jax.random.split(jax.random.fold_in(key, i), 4)
        layer = None
        if role in sample:
            layer = _to_float(sample[role])
            if augmentation.color_jitter > 0:
                layer = jitter_color(keys[0], layer, strength=augmentation.color_jitter)
        if layer is None or augmentation.texture_prob > 0:
            texture = procedural_texture(keys[1], size, role=role)
            chosen = jax.random.bernoulli(keys[2], augmentation.texture_prob)
            layer = texture if layer is None else jnp.where(chosen, texture, layer)
        if role == "transmission" and augmentation.hard_negative_prob > 0:
            changed, chosen = jax.random.split(jax.random.fold_in(key, 2))
            chosen = jax.random.bernoulli(chosen, augmentation.hard_negative_prob)
            layer = jnp.where(chosen, add_hard_negative(changed, layer), layer)
        layers.append(dihedral(keys[3], layer) if augmentation.turn else layer)
    return layers[0], layers[1]


def _layers(key: jax.Array, sample: Tree, *, options: MultiviewOptions, augmentation: Augmentation) -> Tree:
    content, mixing = jax.random.split(key)
    layers = _sources(content, sample, options.canvas, augmentation)
    sequence = synthesize(mixing, *layers, options=options)
    return {
        "frames": sequence.frames,
        "transmission": sequence.transmission,
        "reflection": sequence.reflection,
        "flow_t": sequence.flow_t,
        "flow_r": sequence.flow_r,
        "valid_t": sequence.valid_t,
        "valid_r": sequence.valid_r,
        "reflection_weight": jnp.ones(()),
        "flow_weight": jnp.ones(()),
    }


def _single(key: jax.Array, sample: Tree, *, options: MultiviewOptions, augmentation: Augmentation) -> Tree:
    content, mixing = jax.random.split(key)
    layers = _sources(content, sample, (options.height, options.width), augmentation)
    mixture = synthesize_single(mixing, *layers, options=options)
    return {"mixture": mixture.frame, "target": mixture.transmission}


def _sequence(key: jax.Array, sample: Tree, *, turn: bool) -> Tree:
    """A real sequence: no flow is known, and without a photographed reflection only a residual."""
    stack = {name: _to_float(sample[name]) for name in ("mixture", "transmission", "reflection")}
    if turn:
        stack = augment_frames(key, stack)
    photographed = sample["has_reflection"]
    residual = jnp.clip(stack["mixture"] - stack["transmission"], 0.0, 1.0)
    frames, height, width, _ = stack["mixture"].shape
    still = jnp.zeros((frames - 1, height, width, 2))
    return {
        "frames": stack["mixture"],
        "transmission": stack["transmission"],
        "reflection": jnp.where(photographed, stack["reflection"], residual),
        "flow_t": still,
        "flow_r": still,
        "valid_t": still[..., 0],
        "valid_r": still[..., 0],
        "reflection_weight": jnp.where(photographed, 1.0, 0.5),
        "flow_weight": jnp.zeros(()),
    }


def _pair(key: jax.Array, sample: Tree, *, turn: bool) -> Tree:
    both = jnp.stack([_to_float(sample["mixture"]), _to_float(sample["transmission"])])
    if turn:
        both = dihedral(key, both)
    return {"mixture": both[0], "target": both[1]}
