"""Conversion of Keras weights to variables and back."""
