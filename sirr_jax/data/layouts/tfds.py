"""Registers the layout of prepared TFDS sets."""

from __future__ import annotations

from sirr_jax.data.layouts.registry import register
from sirr_jax.data.storage.tfds.layout import TFDS

register(TFDS, rank=0)
