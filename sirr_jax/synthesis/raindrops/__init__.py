"""Raindrops on a pane in front of the lens, rendered on the accelerator, and masks of the drops.

Pure functions of a key and a photograph (`render`), or of a rainy and a clean image (`difference_mask`). Source:
AttentiveGAN specification, section 5 (Qian et al., CVPR 2018).
"""

from __future__ import annotations

from sirr_jax.synthesis.raindrops.difference_mask import REDUCTIONS, difference_mask
from sirr_jax.synthesis.raindrops.options import RaindropOptions
from sirr_jax.synthesis.raindrops.parameters import RaindropParameters, draw_raindrops
from sirr_jax.synthesis.raindrops.render import Raindrops, render

__all__ = [
    "REDUCTIONS",
    "RaindropOptions",
    "RaindropParameters",
    "Raindrops",
    "difference_mask",
    "draw_raindrops",
    "render",
]
