"""Degradations other than reflections and raindrops: on the host, uint8 in and out, seeded by a generator.

Seventeen kinds with severity levels have names (`degrade`, `KINDS`): those of TID-2013 (Ponomarenko et al., 2015) as
implemented by a script published with RankIQA (Liu et al., ICCV 2017) and used by SR-Net (Xia et al., 2019).
Watermarks, irregular masks, window reflections, fog and rain are separate functions. Source: SR-Net specification,
section 5.
"""

from __future__ import annotations

from sirr_jax.synthesis.degradations.base import Degradation
from sirr_jax.synthesis.degradations.fog import fog
from sirr_jax.synthesis.degradations.irregular_mask import irregular_mask
from sirr_jax.synthesis.degradations.rain import rain
from sirr_jax.synthesis.degradations.registry import KINDS, Kind, degrade
from sirr_jax.synthesis.degradations.watermark import watermark
from sirr_jax.synthesis.degradations.window_reflection import WindowReflection, window_reflection

__all__ = [
    "KINDS",
    "Degradation",
    "Kind",
    "WindowReflection",
    "degrade",
    "fog",
    "irregular_mask",
    "rain",
    "watermark",
    "window_reflection",
]
