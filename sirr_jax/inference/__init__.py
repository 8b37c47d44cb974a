"""A photograph in, its layers out."""
