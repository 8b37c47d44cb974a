"""Readers of weight files: PyTorch, HDF5, safetensors. Nothing in a file is executed."""
