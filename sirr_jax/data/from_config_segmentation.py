"""A config's data section -> streams of labelled photographs."""

from __future__ import annotations

import logging

from ml_collections import ConfigDict

from sirr_jax.data.samples.base import Stream
from sirr_jax.data.samples.segmentation import DegradedCrops, LabelledCrops, LabelledPairs
from sirr_jax.data.sources.photos import PhotoSource
from sirr_jax.data.sources.segmentation import FolderLabelled, LabelledSource
from sirr_jax.data.sources.synthetic_scenes import SceneSource
from sirr_jax.errors import UserError
from sirr_jax.synthesis.degradations.random_degradation import RandomDegradation

LABELLED_KINDS = ("labelled", "labelled_pairs", "degraded")
"""Kinds of samples with labels: one photograph, two to mix, one and what became of it."""

_log = logging.getLogger(__name__)


def labelled_set(data: ConfigDict, where: str) -> LabelledSource:
    """A set of labelled photographs.

    Args:
        data: a config's data section; `data.classes` is what the set must have, 0 for any number.
        where: the set.

    Raises:
        UserError: if there is no such set, or its files are something else than expected.
    """
    classes = data.get("classes", 0) or None
    source = FolderLabelled(where, crop=data.crop, on_corrupt=data.on_corrupt, classes=classes)
    _log.info("%d photographs with labels of %d classes from %s", len(source), source.classes, where)
    return source


def scenes(data: ConfigDict, photos: PhotoSource, *, held_out: bool = False) -> LabelledSource:
    """Procedural scenes as `data.scenes` describes them.

    Args:
        data: a config's data section.
        photos: what they are made of.
        held_out: whether to make other scenes than those of the training, to validate on.

    Raises:
        UserError: if a value is out of range, or `data.classes` is another number than the scenes have.
    """
    options = data.scenes
    if options.size < data.crop:
        raise UserError(f"config.data.scenes.size={options.size} is below config.data.crop={data.crop}; enlarge it")
    seed, hint = options.seed + int(held_out), options.get("hint", 0.0)
    source = SceneSource(photos, count=options.count, size=options.size, seed=seed, hint=hint)
    if data.get("classes", 0) not in (0, source.classes):
        raise UserError(f"config.data.classes={data.classes}, and procedural scenes have {source.classes}; give that")
    return source


def stream_of_labelled(data: ConfigDict, kind: str, source: LabelledSource) -> Stream:
    """The stream of one of `LABELLED_KINDS`.

    Args:
        data: a config's data section.
        kind: the kind.
        source: where the photographs and labels come from.

    Raises:
        UserError: if a value is out of range.
    """
    crops = {"crop": data.crop, "max_scale": data.max_scale}
    if kind == "labelled":
        return LabelledCrops(source, **crops)
    if kind == "labelled_pairs":
        return LabelledPairs(source, **crops)
    return DegradedCrops(source, random_degradation(data), **crops)


def random_degradation(data: ConfigDict) -> RandomDegradation:
    """What `data.degradations` describes; its `kinds` are what the numbers in a sample's `kind` stand for.

    Raises:
        UserError: if there is no such kind or level.
    """
    options = data.degradations
    return RandomDegradation(options.kinds, levels=options.levels, resave_jpeg=options.resave_jpeg)
