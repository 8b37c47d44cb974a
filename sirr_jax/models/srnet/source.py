"""Provenance of the published weights."""

from __future__ import annotations

from sirr_jax.models.pretrained_info import PretrainedInfo

SOURCE = PretrainedInfo("xiaweihao/SR-Net", "MIT (badge)", "none published")
