"""Layers that several networks share. All arrays are NHWC; padding is always explicit."""
