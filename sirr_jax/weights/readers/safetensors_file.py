"""Safetensors files, ours and others'."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open

from sirr_jax.weights.errors import ConversionError
from sirr_jax.weights.readers.file_type import expect


def read_safetensors(path: str | Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Read all arrays and the metadata of a safetensors file.

    Raises:
        ConversionError: if it is missing, damaged or no safetensors.
    """
    path = Path(path)
    expect(path, "safetensors")
    try:
        with safe_open(path, framework="np") as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
            return arrays, dict(file.metadata() or {})
    except (SafetensorError, OSError, ValueError, AttributeError, TypeError, KeyError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ConversionError(f"{path} cannot be read as safetensors ({reason}); get or export it again") from error
