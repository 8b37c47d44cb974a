"""Weight files -> arrays: PyTorch, HDF5, safetensors. Nothing in a file is executed."""
