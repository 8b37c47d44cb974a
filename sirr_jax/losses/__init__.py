"""Loss functions: pure functions of arrays that return float32 scalars. Images are NHWC in [0, 1]."""
