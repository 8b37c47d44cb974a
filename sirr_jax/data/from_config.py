"""A config's data section -> streams of samples."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterable

import numpy as np
from ml_collections import ConfigDict

from sirr_jax.data.loaders.build import build_loader
from sirr_jax.data.samples.base import Stream
from sirr_jax.data.samples.photo import PairCrops, PhotoCrops, PhotoLayers, ProceduralLayers, SequenceCrops
from sirr_jax.data.samples.segmentation import DegradedCrops, LabelledCrops, LabelledPairs
from sirr_jax.data.sources.pairs import FolderPairs
from sirr_jax.data.sources.photos import EmbeddedPhotos, FolderPhotos, PhotoSource
from sirr_jax.data.sources.preloaded import PreloadedPhotos
from sirr_jax.data.sources.segmentation import FolderLabelled, LabelledSource
from sirr_jax.data.sources.sequences import FolderSequences
from sirr_jax.data.sources.synthetic_scenes import SceneSource
from sirr_jax.data.storage.tfds.place import resolve
from sirr_jax.errors import UserError
from sirr_jax.synthesis.degradations.random_degradation import RandomDegradation
from sirr_jax.synthesis.multiview import MultiviewOptions

LABELLED_KINDS = ("labelled", "labelled_pairs", "degraded")
"""Kinds of samples with label maps: one photograph; two to mix; one clean and degraded."""

KINDS = ("layers", "single", "photos", "sequences", "pairs", "unaligned", *LABELLED_KINDS)
"""Kinds of samples. "layers": two photographs to make a moving view of; "single": two to mix; "photos": one to degrade;
"sequences" and "pairs": real ones; "unaligned": real pairs whose layers do not lie pixel on pixel."""

_NO_VALIDATION = "config.eval_every=0 and config.log_images_every=0"

_log = logging.getLogger(__name__)


def multiview_options(data: ConfigDict) -> MultiviewOptions:
    """Makes the options of the multi-view generator.

    Args:
        data: data section of a config.

    Raises:
        UserError: A value is out of range.
    """
    synthesis = data.get("synthesis", {})
    margin = None if data.margin < 0 else data.margin
    return MultiviewOptions(size=data.crop, margin=margin, **synthesis)


def random_degradation(data: ConfigDict) -> RandomDegradation:
    """Makes the random degradation of `data.degradations`; its `kinds` are the meaning of a sample's `kind`.

    Args:
        data: data section of a config.

    Raises:
        UserError: There is no such degradation or level.
    """
    options = data.degradations
    return RandomDegradation(options.kinds, levels=options.levels, resave_jpeg=options.resave_jpeg)


def training_streams(data: ConfigDict, kinds: Iterable[str]) -> dict[str, Stream]:
    """Opens the streams of several kinds of training samples.

    Args:
        data: data section of a config.
        kinds: kinds of samples, of `KINDS`.

    Raises:
        UserError: A folder is missing or does not hold what is expected.
    """
    wanted = set(kinds)
    photos = functools.cache(functools.partial(_training_photos, data))  # one source for all kinds
    return {kind: _training_stream(data, kind, photos) for kind in KINDS if kind in wanted}


def validation_stream(data: ConfigDict, kind: str) -> Stream:
    """Opens the stream of validation samples, from `data.validation`.

    Args:
        data: data section of a config.
        kind: kind of the samples. "pairs" takes a set of pairs; "layers", "single" and "photos" a folder of photographs
            or, where `data.validation` is empty, the held-out embedded photograph; "labelled", "labelled_pairs" and
            "degraded" a labelled set or, where `data.labelled` is "scenes", scenes made of such photographs.

    Raises:
        UserError: The folder is missing or does not hold what is expected.
    """
    if kind == "pairs":
        return _pairs(data, _place(data, "validation", _NO_VALIDATION))
    if kind in LABELLED_KINDS and data.labelled != "scenes":
        place = _place(data, "validation", _NO_VALIDATION)
        return _of_labelled(data, kind, _labelled_set(data, place))
    if data.validation:
        photos: PhotoSource = FolderPhotos(
            _place(data, "validation", _NO_VALIDATION), crop=data.crop, on_corrupt=data.on_corrupt
        )
    else:
        photos = EmbeddedPhotos("validation", crop=data.crop)
    if kind in LABELLED_KINDS:
        return _of_labelled(data, kind, _scenes(data, photos, held_out=True))
    return _of_photos(data, kind, photos)


def validation_batch(data: ConfigDict, kind: str, count: int, *, seed: int) -> dict[str, dict[str, np.ndarray]]:
    """Reads one batch of validation samples.

    Args:
        data: data section of a config.
        kind: kind of the samples, see `validation_stream`.
        count: number of samples.
        seed: random seed of the crops.

    Returns:
        A raw batch: kind -> name -> array.

    Raises:
        UserError: The data cannot be used.
    """
    stream = validation_stream(data, kind)
    with build_loader({kind: stream}, {kind: count}, loader="threads", seed=seed, start_step=0) as batches:
        return next(batches)


def _training_stream(data: ConfigDict, kind: str, photos: Callable[[], PhotoSource]) -> Stream:
    if kind == "sequences":
        folder = _place(data, kind, "config.data.sequences_share=0")
        sequences = FolderSequences(folder, crop=data.crop, on_corrupt=data.on_corrupt)
        return SequenceCrops(sequences, crop=data.crop, max_scale=data.max_scale)
    if kind == "pairs":
        return _pairs(data, _place(data, kind, "config.data.pairs_share=0"))
    if kind == "unaligned":
        return _pairs(data, _place(data, kind, "the stages' unaligned_share=0"))
    if kind in LABELLED_KINDS and data.labelled != "scenes":
        place = _place(data, "labelled", "config.data.labelled=scenes")
        return _of_labelled(data, kind, _labelled_set(data, place))
    if data.photos == "procedural":
        if kind == "photos" or kind in LABELLED_KINDS:
            raise UserError("config.data.photos is 'procedural', which has no photographs; give a folder or 'embedded'")
        return ProceduralLayers()
    if kind in LABELLED_KINDS:
        return _of_labelled(data, kind, _scenes(data, photos()))
    return _of_photos(data, kind, photos())


def _training_photos(data: ConfigDict) -> PhotoSource:
    if data.photos == "embedded":
        photos: PhotoSource = EmbeddedPhotos("train", crop=data.crop)
    else:
        folder = _place(data, "photos", "config.data.photos=embedded")
        photos = FolderPhotos(folder, crop=data.crop, on_corrupt=data.on_corrupt)
    _log.info("%d photographs from %s", len(photos), data.photos)
    return PreloadedPhotos(photos) if data.loader == "device" else photos


def _of_photos(data: ConfigDict, kind: str, photos: PhotoSource) -> Stream:
    scales = {"max_scale": data.max_scale, "min_scale": data.min_scale, "short_side": _short_side(data)}
    if kind == "photos":
        return PhotoCrops(photos, crop=data.crop, **scales)
    margin = multiview_options(data).border if kind == "layers" else 0
    return PhotoLayers(photos, crop=data.crop, margin=margin, **scales)


def _pairs(data: ConfigDict, folder: str) -> Stream:
    pairs = FolderPairs(folder, crop=data.crop, on_corrupt=data.on_corrupt)
    return PairCrops(pairs, crop=data.crop, max_scale=data.max_scale, short_side=_short_side(data))


def _short_side(data: ConfigDict) -> tuple[int, int] | None:
    low, high = data.get("short_side", (0, 0))
    return (low, high) if high else None


def _of_labelled(data: ConfigDict, kind: str, source: LabelledSource) -> Stream:
    crops = {"crop": data.crop, "max_scale": data.max_scale}
    if kind == "labelled":
        return LabelledCrops(source, **crops)
    if kind == "labelled_pairs":
        return LabelledPairs(source, **crops)
    return DegradedCrops(source, random_degradation(data), **crops)


def _labelled_set(data: ConfigDict, where: str) -> LabelledSource:
    classes = data.get("classes", 0) or None
    source = FolderLabelled(where, crop=data.crop, on_corrupt=data.on_corrupt, classes=classes)
    _log.info("%d photographs with labels of %d classes from %s", len(source), source.classes, where)
    return source


def _scenes(data: ConfigDict, photos: PhotoSource, *, held_out: bool = False) -> LabelledSource:
    """Procedural scenes of `data.scenes`; `held_out` makes others than those of the training."""
    options = data.scenes
    if options.size < data.crop:
        raise UserError(f"config.data.scenes.size={options.size} is below config.data.crop={data.crop}; enlarge it")
    seed, hint = options.seed + int(held_out), options.get("hint", 0.0)
    source = SceneSource(photos, count=options.count, size=options.size, seed=seed, hint=hint)
    if data.get("classes", 0) not in (0, source.classes):
        raise UserError(f"config.data.classes={data.classes}, and procedural scenes have {source.classes}; give that")
    return source


def _place(data: ConfigDict, name: str, otherwise: str) -> str:
    """Returns the folder that a key names, with `#PART`; the key may name a TFDS set instead."""
    place = data[name]
    if not place:
        raise UserError(f"config.data.{name} is empty; give a folder or tfds:NAME, or set {otherwise}")
    return str(resolve(place, data.get("tfds_data_dir", "")))
