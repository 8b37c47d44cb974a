"""Photographs and sequences on disk -> batches of uint8 arrays. Importing it does not import TensorFlow."""

from __future__ import annotations

from sirr_jax.data.decode import UnreadableImageError, read_image
from sirr_jax.data.labelled import FolderLabelled, LabelledSource
from sirr_jax.data.labelled_streams import DegradedCrops, LabelledCrops, LabelledPairs
from sirr_jax.data.pairs import FolderPairs, PairSource
from sirr_jax.data.photos import EmbeddedPhotos, FolderPhotos, PhotoSource
from sirr_jax.data.pipeline import BatchPipeline, build_pipeline
from sirr_jax.data.resident_photos import ResidentPhotos
from sirr_jax.data.scenes import SceneSource
from sirr_jax.data.sequences import FolderSequences, SequenceSource
from sirr_jax.data.stream_contract import Stream
from sirr_jax.data.streams import PairCrops, PhotoCrops, PhotoLayers, ProceduralLayers, SequenceCrops

__all__ = [
    "BatchPipeline",
    "DegradedCrops",
    "EmbeddedPhotos",
    "FolderLabelled",
    "FolderPairs",
    "FolderPhotos",
    "FolderSequences",
    "LabelledCrops",
    "LabelledPairs",
    "LabelledSource",
    "PairCrops",
    "PairSource",
    "PhotoCrops",
    "PhotoLayers",
    "PhotoSource",
    "ProceduralLayers",
    "ResidentPhotos",
    "SceneSource",
    "SequenceCrops",
    "SequenceSource",
    "Stream",
    "UnreadableImageError",
    "build_pipeline",
    "read_image",
]
