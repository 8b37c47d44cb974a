"""Conversion of weights: PyTorch, Keras and safetensors files to Flax variables and back."""

from __future__ import annotations

from sirr_jax.weights.convert import from_torch, to_torch
from sirr_jax.weights.detect import detect
from sirr_jax.weights.errors import ConversionError
from sirr_jax.weights.keras.convert import from_keras, to_keras
from sirr_jax.weights.readers.torch_file import read_torch

__all__ = ["ConversionError", "detect", "from_keras", "from_torch", "read_torch", "to_keras", "to_torch"]
