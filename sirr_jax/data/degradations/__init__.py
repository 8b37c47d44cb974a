"""Degradations other than reflections and raindrops: on the host, uint8 in and out, seeded by a generator.

Watermarks, irregular masks, fog and rain. Source: SR-Net specification, section 5.
"""

from __future__ import annotations

from sirr_jax.data.degradations.fog import fog
from sirr_jax.data.degradations.irregular_mask import irregular_mask
from sirr_jax.data.degradations.rain import rain
from sirr_jax.data.degradations.watermark import watermark

__all__ = ["fog", "irregular_mask", "rain", "watermark"]
