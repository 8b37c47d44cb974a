"""Augmentations of photographs: color, geometry, hard negatives."""
