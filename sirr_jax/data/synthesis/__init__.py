"""Single images through glass, mixed from two photographs on the accelerator, by the models of the literature.

Pure JAX functions of a key and two layers; sizes are static, what is drawn is not. Source: benchmark specification,
section 4.
"""

from __future__ import annotations

from sirr_jax.data.synthesis.batch import synthesise_batch
from sirr_jax.data.synthesis.bdn import BdnOptions
from sirr_jax.data.synthesis.ceilnet import CeilnetOptions
from sirr_jax.data.synthesis.contract import Mixture
from sirr_jax.data.synthesis.corrn import CorrnOptions
from sirr_jax.data.synthesis.dsrnet import DsrnetOptions
from sirr_jax.data.synthesis.glass import GlassOptions
from sirr_jax.data.synthesis.registry import SYNTHESES, Synthesis, get_synthesis, synthesis_options
from sirr_jax.data.synthesis.wen import WenOptions
from sirr_jax.data.synthesis.zhang import ZhangOptions

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
    "synthesise_batch",
]
