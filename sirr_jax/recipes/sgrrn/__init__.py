"""SGRRN: reflections by semantics (Liu et al. 2019)."""
