"""Training batches of the dynamics recipe, made from raw samples of all kinds on the device."""

from __future__ import annotations

import functools
from typing import Literal, NamedTuple

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

# Random streams, one per kind of sample: two kinds may share an index.
_STREAMS = {"layers": 0, "single": 1, "sequences": 2, "pairs": 3}


class Augmentation(NamedTuple):
    """Options of the augmentation; the defaults change nothing.

    Attributes:
        texture_prob: probability that a layer is replaced by a procedural texture.
        color_jitter: strength of the color changes of layers, see `jitter_color`.
        hard_negative_prob: probability that a transmission becomes a hard negative, see `add_hard_negative`.
        turn: whether to flip and rotate layers, sequences and pairs, and to reverse time.
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
    """Synthesizes, augments and groups samples.

    Args:
        raw: kind -> arrays, uint8 images (see `data.loaders.build`). A "layers" or "single" entry with an index alone
            is made of procedural textures.
        key: PRNG key of the run; the random values of a sample depend on it, on the kind and on the index alone.
        options: options of the synthesis.
        augmentation: options of the augmentation.

    Returns:
        `views`, if there are such samples: `frames`, `transmission`, `reflection` [B, 3, H, W, 3], `flow_t`, `flow_r`
        [B, 2, H, W, 2], `valid_t`, `valid_r` [B, 2, H, W], `reflection_weight`, `flow_weight` [B]; `single`, if there
        are such samples: `mixture`, `target` [B, H, W, 3]. All float32.
    """
    make = {
        "layers": functools.partial(_layers, options=options, augmentation=augmentation),
        "single": functools.partial(_single, options=options, augmentation=augmentation),
        "sequences": functools.partial(_sequence, turn=augmentation.turn),
        "pairs": functools.partial(_pair, turn=augmentation.turn),
    }
    samples_by_kind = {}
    for kind, samples in raw.items():
        kind_key = jax.random.fold_in(key, _STREAMS[kind])
        keys = jax.vmap(functools.partial(jax.random.fold_in, kind_key))(samples["index"])
        samples_by_kind[kind] = jax.vmap(make[kind])(keys, {k: v for k, v in samples.items() if k != "index"})
    groups = {"views": ("layers", "sequences"), "single": ("single", "pairs")}
    batch = {}
    for group, kinds in groups.items():
        parts = [samples_by_kind[kind] for kind in kinds if kind in samples_by_kind]
        if parts:
            batch[group] = jax.tree.map(lambda *x: jnp.concatenate(x), *parts)
    return batch


def _to_float(image: jax.Array) -> jax.Array:
    return image.astype(jnp.float32) / 255.0


def _sources(
    key: jax.Array, sample: Tree, size: tuple[int, int], augmentation: Augmentation
) -> tuple[jax.Array, jax.Array]:
    """The two layers to mix: photographs with changed colors, or textures; hard negatives; flipped and rotated."""
    layers = []
    roles: tuple[Literal["transmission", "reflection"], ...] = ("transmission", "reflection")
    for i, role in enumerate(roles):
        keys = jax.random.split(jax.random.fold_in(key, i), 4)
        layer = None
        if role in sample:
            layer = _to_float(sample[role])
            if augmentation.color_jitter > 0:
                layer = jitter_color(keys[0], layer, strength=augmentation.color_jitter)
        if layer is None or augmentation.texture_prob > 0:
            texture = procedural_texture(keys[1], size, role=role)
            replace = jax.random.bernoulli(keys[2], augmentation.texture_prob)
            layer = texture if layer is None else jnp.where(replace, texture, layer)
        if role == "transmission" and augmentation.hard_negative_prob > 0:
            change_key, choice_key = jax.random.split(jax.random.fold_in(key, 2))
            change = jax.random.bernoulli(choice_key, augmentation.hard_negative_prob)
            layer = jnp.where(change, add_hard_negative(change_key, layer), layer)
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
    """A real sequence: its flow is unknown; without a photographed reflection the residual takes its place."""
    stack = {name: _to_float(sample[name]) for name in ("mixture", "transmission", "reflection")}
    if turn:
        stack = augment_frames(key, stack)
    has_reflection = sample["has_reflection"]
    residual = jnp.clip(stack["mixture"] - stack["transmission"], 0.0, 1.0)
    frames, height, width, _ = stack["mixture"].shape
    no_flow = jnp.zeros((frames - 1, height, width, 2))
    return {
        "frames": stack["mixture"],
        "transmission": stack["transmission"],
        "reflection": jnp.where(has_reflection, stack["reflection"], residual),
        "flow_t": no_flow,
        "flow_r": no_flow,
        "valid_t": no_flow[..., 0],
        "valid_r": no_flow[..., 0],
        "reflection_weight": jnp.where(has_reflection, 1.0, 0.5),
        "flow_weight": jnp.zeros(()),
    }


def _pair(key: jax.Array, sample: Tree, *, turn: bool) -> Tree:
    images = jnp.stack([_to_float(sample["mixture"]), _to_float(sample["transmission"])])
    if turn:
        images = dihedral(key, images)
    return {"mixture": images[0], "target": images[1]}
