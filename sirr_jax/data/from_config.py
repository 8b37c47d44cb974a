"""A config's data section -> streams and the number of samples of each kind in a batch."""

from __future__ import annotations

import functools
import logging
import math
from collections.abc import Callable, Iterable, Mapping, Sequence

from ml_collections import ConfigDict

from sirr_jax.data.from_config_segmentation import LABELLED_KINDS, labelled_set, scenes, stream_of_labelled
from sirr_jax.data.samples.photo import PairCrops, PhotoCrops, PhotoLayers, ProceduralLayers, SequenceCrops, Stream
from sirr_jax.data.sources.pairs import FolderPairs
from sirr_jax.data.sources.photos import EmbeddedPhotos, FolderPhotos, PhotoSource
from sirr_jax.data.sources.preloaded import PreloadedPhotos
from sirr_jax.data.sources.sequences import FolderSequences
from sirr_jax.errors import UserError
from sirr_jax.synthesis.multiview import MultiviewOptions

KINDS = ("layers", "single", "photos", "sequences", "pairs", *LABELLED_KINDS)
"""Kinds of samples: two photographs to make a moving view of, two to mix, one to degrade; real sequences and pairs;
photographs with labels: one, two to mix, one degraded."""

_log = logging.getLogger(__name__)


def multiview_options(data: ConfigDict) -> MultiviewOptions:
    """The generator's options from a config's data section.

    Raises:
        UserError: if a value is out of range.
    """
    synthesis = data.get("synthesis", {})
    margin = None if data.margin < 0 else data.margin
    return MultiviewOptions(size=data.crop, margin=margin, **synthesis)


def training_streams(data: ConfigDict, kinds: Iterable[str]) -> dict[str, Stream]:
    """Streams of the kinds that any stage draws from.

    Raises:
        UserError: if a folder is missing or holds something else than expected.
    """
    wanted = set(kinds)
    photos = functools.cache(functools.partial(_training_photos, data))  # one source for all kinds
    return {kind: _training_stream(data, kind, photos) for kind in KINDS if kind in wanted}


def validation_stream(data: ConfigDict, kind: str) -> Stream:
    """Samples of one kind to validate on, from `data.validation`.

    Args:
        data: a config's data section.
        kind: "pairs" for a set of pairs; "layers", "single" or "photos" for a folder of photographs or, where
            `data.validation` is empty, the held-out embedded photograph; "labelled", "labelled_pairs" or "degraded"
            for a labelled set or, where `data.labelled` is "scenes", scenes made of such photographs.

    Raises:
        UserError: if the folder is missing or holds something else than expected.
    """
    if kind == "pairs":
        return _pairs(data, _folder(data.validation, "validation", "config.eval_every=0 and config.log_images_every=0"))
    if kind in LABELLED_KINDS and data.labelled != "scenes":
        place = _folder(data.validation, "validation", "config.eval_every=0 and config.log_images_every=0")
        return stream_of_labelled(data, kind, labelled_set(data, place))
    if data.validation:
        photos: PhotoSource = FolderPhotos(data.validation, crop=data.crop, on_corrupt=data.on_corrupt)
    else:
        photos = EmbeddedPhotos("validation", crop=data.crop)
    if kind in LABELLED_KINDS:
        return stream_of_labelled(data, kind, scenes(data, photos, held_out=True))
    return _of_photos(data, kind, photos)


def samples_per_batch(mix: Mapping[str, float], batch_size: int, unit: int) -> dict[str, int]:
    """Split a batch among kinds, each a multiple of `unit`, as near to the shares as that allows.

    Args:
        mix: kind -> share, summing to 1.
        batch_size: samples per step, of all devices.
        unit: devices times micro-batches.

    Raises:
        UserError: if the batch is no multiple of `unit`, or too small for every kind to occur, or the shares do not sum
            to 1.
    """
    if min(mix.values()) < 0 or not math.isclose(sum(mix.values()), 1.0, abs_tol=1e-6):
        raise UserError(f"the shares of a batch are {dict(mix)}; expected numbers of at least 0 that sum to 1")
    if batch_size < 1 or batch_size % unit:
        raise UserError(
            f"config.batch_size={batch_size} cannot be divided among devices x config.grad_accum_steps = {unit}; "
            f"choose a multiple of {unit}"
        )
    units = batch_size // unit
    kinds = [kind for kind, share in mix.items() if share > 0]
    if units < len(kinds):
        raise UserError(
            f"config.batch_size={batch_size} leaves no sample for one of {', '.join(kinds)} (devices x "
            f"config.grad_accum_steps = {unit}); choose at least {unit * len(kinds)}"
        )
    wanted = {kind: mix[kind] * units for kind in kinds}
    counts = {kind: max(int(wanted[kind]), 1) for kind in kinds}
    while sum(counts.values()) < units:
        counts[max(kinds, key=lambda kind: wanted[kind] - counts[kind])] += 1
    while sum(counts.values()) > units:
        spare = [kind for kind in kinds if counts[kind] > 1]
        counts[min(spare, key=lambda kind: wanted[kind] - counts[kind])] -= 1
    return {kind: count * unit for kind, count in counts.items()}


def skipped_positions(steps: Sequence[int], counts: Sequence[Mapping[str, int]]) -> list[dict[str, int]]:
    """What each stage is to leave out of each kind's stream, so that it repeats no sample of an earlier stage.

    A position is the step times the samples per step: a stage that takes fewer than an earlier one would be back at
    positions that have been.

    Args:
        steps: of all stages.
        counts: samples of each kind per step, of all stages.

    Returns:
        Kind -> positions for each stage, see `build_loader`.
    """
    made, reached, first = [], dict[str, int](), 0
    for number, count in zip(steps, counts, strict=True):
        skipped = {kind: max(reached.get(kind, 0) - first * samples, 0) for kind, samples in count.items()}
        first += number
        reached |= {kind: skipped[kind] + first * samples for kind, samples in count.items()}
        made.append(skipped)
    return made


def _training_stream(data: ConfigDict, kind: str, photos: Callable[[], PhotoSource]) -> Stream:
    if kind == "sequences":
        folder = _folder(data.sequences, kind, "config.data.sequences_share=0")
        sequences = FolderSequences(folder, crop=data.crop, on_corrupt=data.on_corrupt)
        return SequenceCrops(sequences, crop=data.crop, max_scale=data.max_scale)
    if kind == "pairs":
        return _pairs(data, _folder(data.pairs, kind, "config.data.pairs_share=0"))
    if kind in LABELLED_KINDS and data.labelled != "scenes":
        place = _folder(data.labelled, "labelled", "config.data.labelled=scenes")
        return stream_of_labelled(data, kind, labelled_set(data, place))
    if data.photos == "procedural":
        if kind == "photos" or kind in LABELLED_KINDS:
            raise UserError("config.data.photos is 'procedural', which has no photographs; give a folder or 'embedded'")
        return ProceduralLayers()
    if kind in LABELLED_KINDS:
        return stream_of_labelled(data, kind, scenes(data, photos()))
    return _of_photos(data, kind, photos())


def _training_photos(data: ConfigDict) -> PhotoSource:
    if data.photos == "embedded":
        photos: PhotoSource = EmbeddedPhotos("train", crop=data.crop)
    else:
        folder = _folder(data.photos, "layers", "config.data.photos=embedded")
        photos = FolderPhotos(folder, crop=data.crop, on_corrupt=data.on_corrupt)
    _log.info("%d photographs from %s", len(photos), data.photos)
    return PreloadedPhotos(photos) if data.loader == "device" else photos


def _of_photos(data: ConfigDict, kind: str, photos: PhotoSource) -> Stream:
    scales = {"max_scale": data.max_scale, "min_scale": data.min_scale}
    if kind == "photos":
        return PhotoCrops(photos, crop=data.crop, **scales)
    margin = multiview_options(data).border if kind == "layers" else 0
    return PhotoLayers(photos, crop=data.crop, margin=margin, **scales)


def _pairs(data: ConfigDict, folder: str) -> Stream:
    pairs = FolderPairs(folder, crop=data.crop, on_corrupt=data.on_corrupt)
    return PairCrops(pairs, crop=data.crop, max_scale=data.max_scale)


def _folder(path: str, name: str, otherwise: str) -> str:
    if not path:
        raise UserError(f"config.data.{name} is empty; give a folder, or set {otherwise}")
    return path
