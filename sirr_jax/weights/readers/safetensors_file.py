"""Reads safetensors files, of sirr_jax and of other programs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open

from sirr_jax.weights.errors import ConversionError
from sirr_jax.weights.readers.file_type import require_file_type


def read_safetensors(path: str | Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Reads all arrays and the metadata of a safetensors file.

    Args:
        path: `.safetensors` file.

    Returns:
        Arrays by name, and the metadata (empty if there is none).

    Raises:
        ConversionError: The file is missing, damaged or not safetensors.
    """
    path = Path(path)
    require_file_type(path, "safetensors")
    try:
        with safe_open(path, framework="np") as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
            return arrays, dict(file.metadata() or {})
    except (SafetensorError, OSError, ValueError, AttributeError, TypeError, KeyError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ConversionError(
            f"{path} cannot be read as safetensors ({reason}); download or export it again"
        ) from error
