"""Weights of Keras models <-> variables."""
