"""Discriminator of the dynamics recipe."""

from __future__ import annotations

from sirr_jax.models.patchgan import PatchDiscriminator
from sirr_jax.models.registry import register

register("dynamics/discriminator", year=2021, verified="NumPy transcription")(PatchDiscriminator)
