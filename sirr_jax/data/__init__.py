"""Photographs and sequences on disk -> batches of uint8 arrays. Importing it does not import TensorFlow."""

from __future__ import annotations

from sirr_jax.data.decode import UnreadableImageError, read_image
from sirr_jax.data.pairs import FolderPairs, PairSource
from sirr_jax.data.photos import EmbeddedPhotos, FolderPhotos, PhotoSource
from sirr_jax.data.pipeline import BatchPipeline, build_pipeline
from sirr_jax.data.sequences import FolderSequences, SequenceSource
from sirr_jax.data.streams import PairCrops, PhotoCrops, PhotoLayers, ProceduralLayers, SequenceCrops, Stream

__all__ = [
    "BatchPipeline",
    "EmbeddedPhotos",
    "FolderPairs",
    "FolderPhotos",
    "FolderSequences",
    "PairCrops",
    "PairSource",
    "PhotoCrops",
    "PhotoLayers",
    "PhotoSource",
    "ProceduralLayers",
    "SequenceCrops",
    "SequenceSource",
    "Stream",
    "UnreadableImageError",
    "build_pipeline",
    "read_image",
]
