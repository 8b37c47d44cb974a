"""Losses: pure functions of arrays, float32 scalars out. Images are NHWC in [0, 1]."""
