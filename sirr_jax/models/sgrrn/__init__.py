"""SGRRN: reflection removal with semantic guidance (Liu et al. 2022, arXiv 1907.11912)."""

from __future__ import annotations

from sirr_jax.models.sgrrn.discriminator import Discriminator
from sirr_jax.models.sgrrn.generator import Generator

__all__ = ["Discriminator", "Generator"]
