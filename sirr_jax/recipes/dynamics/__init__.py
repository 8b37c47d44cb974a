"""Distillation of reflection dynamics: from a multi-view teacher to a single-image student (Zheng et al. 2021)."""
