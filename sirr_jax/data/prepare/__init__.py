"""Offline tools: validating, packing and generating data sets, and building TFDS data sets."""
