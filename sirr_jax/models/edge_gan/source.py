"""Provenance of the published weights."""

from __future__ import annotations

from sirr_jax.models.pretrained_info import PretrainedInfo

SOURCE = PretrainedInfo(
    "Siboooo/ReflectionRemoval", "none stated", "none; the Keras script writes `edgeMap.h5`, `attentionMap.h5`, ..."
)
