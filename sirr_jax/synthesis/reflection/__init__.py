"""Published models that mix two photographs into one photograph through glass, on the accelerator.

Pure JAX functions of a key and two layers; sizes are static, drawn values are not. Source: benchmark specification,
section 4.
"""

from __future__ import annotations

from sirr_jax.synthesis.reflection.base import Mixture
from sirr_jax.synthesis.reflection.batch import synthesize_batch
from sirr_jax.synthesis.reflection.bdn import BdnOptions
from sirr_jax.synthesis.reflection.ceilnet import CeilnetOptions
from sirr_jax.synthesis.reflection.corrn import CorrnOptions
from sirr_jax.synthesis.reflection.dsrnet import DsrnetOptions
from sirr_jax.synthesis.reflection.glass import GlassOptions
from sirr_jax.synthesis.reflection.registry import SYNTHESES, Synthesis, get_synthesis, synthesis_options
from sirr_jax.synthesis.reflection.wen import WenOptions
from sirr_jax.synthesis.reflection.zhang import ZhangOptions

__all__ = [
    "SYNTHESES",
    "BdnOptions",
    "CeilnetOptions",
    "CorrnOptions",
    "DsrnetOptions",
    "GlassOptions",
    "Mixture",
    "Synthesis",
    "WenOptions",
    "ZhangOptions",
    "get_synthesis",
    "synthesis_options",
    "synthesize_batch",
]
