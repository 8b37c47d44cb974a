"""Samples made from clean photographs: one interface over syntheses, raindrops and degradations."""

from __future__ import annotations

from sirr_jax.data.prepare.generate.base import Made, Maker
from sirr_jax.data.prepare.generate.registry import get_maker, kinds

__all__ = ["Made", "Maker", "get_maker", "kinds"]
