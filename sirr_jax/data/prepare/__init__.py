"""Offline tools: validate, pack, generate, build TFDS data sets."""
