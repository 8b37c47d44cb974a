"""Inference on photos of any size: `Restorer`."""
