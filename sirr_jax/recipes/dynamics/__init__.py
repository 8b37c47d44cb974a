"""Distilling reflection dynamics: a multi-view teacher, a single-image student (Zheng et al. 2021)."""
