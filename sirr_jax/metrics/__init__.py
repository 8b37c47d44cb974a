"""Image quality metrics and the named protocols that combine them.

The same functions score NumPy arrays in float64, for reports, and JAX arrays and tracers in float32, inside jitted
training and validation steps.
"""

from __future__ import annotations

from sirr_jax.metrics.lmse import lmse
from sirr_jax.metrics.ncc import ncc
from sirr_jax.metrics.protocols import PROTOCOLS, score
from sirr_jax.metrics.psnr import psnr
from sirr_jax.metrics.segmentation import confusion, miou, per_image
from sirr_jax.metrics.ssim import ssim

__all__ = ["PROTOCOLS", "confusion", "lmse", "miou", "ncc", "per_image", "psnr", "score", "ssim"]
