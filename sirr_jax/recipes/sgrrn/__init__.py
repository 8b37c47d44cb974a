"""SGRRN: removal of reflections guided by semantics (Liu et al. 2022)."""
