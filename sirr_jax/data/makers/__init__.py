"""Samples made from clean photographs: one interface over syntheses, raindrops and degradations."""

from __future__ import annotations

from sirr_jax.data.makers.contract import Made, Maker
from sirr_jax.data.makers.registry import get_maker, kinds

__all__ = ["Made", "Maker", "get_maker", "kinds"]
