"""A config's data section -> streams and the number of samples of each kind in a batch."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping

from ml_collections import ConfigDict

from sirr_jax.data.multiview import MultiviewOptions
from sirr_jax.data.pairs import FolderPairs
from sirr_jax.data.photos import EmbeddedPhotos, FolderPhotos, PhotoSource
from sirr_jax.data.sequences import FolderSequences
from sirr_jax.data.streams import PairCrops, PhotoLayers, ProceduralLayers, SequenceCrops, Stream
from sirr_jax.errors import UserError

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
    kinds = set(kinds)
    streams: dict[str, Stream] = {}
    if kinds & {"layers", "single"}:
        streams = {kind: _layers(data, kind) for kind in sorted(kinds & {"layers", "single"})}
    if "sequences" in kinds:
        root = _folder(data.sequences, "sequences")
        sequences = FolderSequences(root, crop=data.crop, on_corrupt=data.on_corrupt)
        streams["sequences"] = SequenceCrops(sequences, crop=data.crop, max_scale=data.max_scale)
    if "pairs" in kinds:
        root = _folder(data.pairs, "pairs")
        pairs = FolderPairs(root, crop=data.crop, on_corrupt=data.on_corrupt)
        streams["pairs"] = PairCrops(pairs, crop=data.crop, max_scale=data.max_scale)
    return streams


def validation_streams(data: ConfigDict) -> dict[str, Stream]:
    """Layers to validate on: `data.validation`, or else the held-out embedded photograph."""
    margin = multiview_options(data).border
    if data.validation:
        photos: PhotoSource = FolderPhotos(data.validation, crop=data.crop, on_corrupt=data.on_corrupt)
    else:
        photos = EmbeddedPhotos("validation", crop=data.crop)
    return {"layers": PhotoLayers(photos, crop=data.crop, margin=margin, max_scale=data.max_scale)}


def samples_per_batch(mix: Mapping[str, float], batch_size: int, unit: int) -> dict[str, int]:
    """Split a batch among kinds, each a multiple of `unit`, as near to the shares as that allows.

    Args:
        mix: kind -> share, summing to 1.
        batch_size: samples per step, of all devices.
        unit: devices times micro-batches.

    Raises:
        UserError: if the batch is no multiple of `unit`, or too small for every kind to occur.
    """
    if batch_size < 1 or batch_size % unit:
        raise UserError(
            f"config.batch_size={batch_size} cannot be divided among devices x config.accumulate = {unit}; "
            f"choose a multiple of {unit}"
        )
    units = batch_size // unit
    kinds = [kind for kind, share in mix.items() if share > 0]
    if units < len(kinds):
        raise UserError(
            f"config.batch_size={batch_size} leaves no sample for one of {', '.join(kinds)} (devices x "
            f"config.accumulate = {unit}); choose at least {unit * len(kinds)}"
        )
    wanted = {kind: mix[kind] * units for kind in kinds}
    counts = {kind: max(int(wanted[kind]), 1) for kind in kinds}
    while sum(counts.values()) < units:
        counts[max(kinds, key=lambda kind: wanted[kind] - counts[kind])] += 1
    while sum(counts.values()) > units:
        spare = [kind for kind in kinds if counts[kind] > 1]
        counts[min(spare, key=lambda kind: wanted[kind] - counts[kind])] -= 1
    return {kind: count * unit for kind, count in counts.items()}


def _layers(data: ConfigDict, kind: str) -> Stream:
    if data.layers == "procedural":
        return ProceduralLayers()
    if data.layers == "embedded":
        photos: PhotoSource = EmbeddedPhotos("train", crop=data.crop)
    else:
        photos = FolderPhotos(_folder(data.layers, "layers"), crop=data.crop, on_corrupt=data.on_corrupt)
    _log.info("%s: %d photographs from %s", kind, len(photos), data.layers)
    margin = multiview_options(data).border if kind == "layers" else 0
    return PhotoLayers(photos, crop=data.crop, margin=margin, max_scale=data.max_scale)


def _folder(path: str, name: str) -> str:
    if not path:
        raise UserError(f"config.data.{name} is empty; give a folder, or set config.data.{name}_share=0")
    return path
