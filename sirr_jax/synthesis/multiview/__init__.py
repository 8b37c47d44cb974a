"""Sequences of a camera that moves past a pane, and single mixtures, with exact ground truth, on the accelerator.

Pure JAX functions of a key and two photographs (or of a key alone, with `procedural_texture`). Source: distillation
specification, section 6.
"""

from __future__ import annotations

from sirr_jax.synthesis.augment.geometric import augment_frames, dihedral
from sirr_jax.synthesis.multiview.generator import MixedFrame, Sequence, recompose, synthesize, synthesize_single
from sirr_jax.synthesis.multiview.geometry import Geometry, draw_geometry
from sirr_jax.synthesis.multiview.mixing import MixingParameters
from sirr_jax.synthesis.multiview.options import MIXING_MODELS, MultiviewOptions
from sirr_jax.synthesis.multiview.planes import Motion, Planes, draw_planes, layer_motion
from sirr_jax.synthesis.multiview.textures import procedural_texture

__all__ = [
    "MIXING_MODELS",
    "Geometry",
    "MixedFrame",
    "MixingParameters",
    "Motion",
    "MultiviewOptions",
    "Planes",
    "Sequence",
    "augment_frames",
    "dihedral",
    "draw_geometry",
    "draw_planes",
    "layer_motion",
    "procedural_texture",
    "recompose",
    "synthesize",
    "synthesize_single",
]
