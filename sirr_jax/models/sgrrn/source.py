"""Provenance of the published weights."""

from __future__ import annotations

from sirr_jax.models.pretrained_info import PretrainedInfo

SOURCE = PretrainedInfo("DreamtaleCore/SGRRN", "CC-BY-NC-4.0", "announced, never released")
