"""Degradations other than reflections, of photographs on the host, in NumPy.

Seventeen kinds in levels, by name (`degrade`, `KINDS`): those of TID-2013 (Ponomarenko et al., 2015) as a script
published with RankIQA (Liu et al., ICCV 2017) makes them and SR-Net (Xia et al., 2019) uses them. Source: SR-Net
specification, section 5.1. Watermarks, irregular masks, fog and rain are functions of modules of their own.
"""

from __future__ import annotations

from sirr_jax.data.degradations.contract import Degradation
from sirr_jax.data.degradations.registry import KINDS, Kind, degrade

__all__ = ["KINDS", "Degradation", "Kind", "degrade"]
