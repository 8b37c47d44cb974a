"""Writes state dicts to files that PyTorch reads."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from safetensors.numpy import save

from sirr_jax.errors import UserError
from sirr_jax.temporary_paths import new_file


def write_torch(path: str | Path, state_dict: Mapping[str, np.ndarray], *, overwrite: bool = False) -> None:
    """Writes a state dict.

    Args:
        path: file to write: `.safetensors` (needs no PyTorch), or any other suffix for `torch.save`.
        state_dict: `{key: array}` from `sirr_jax.weights.convert.to_torch`.
        overwrite: whether to replace an existing file.

    Raises:
        UserError: The file exists and `overwrite` is False, or PyTorch is needed and not installed.
    """
    path = Path(path)
    if path.exists() and not overwrite:
        raise UserError(f"{path} exists; choose another name or ask to overwrite it")
    with new_file(path, overwrite=overwrite) as partial:
        if path.suffix == ".safetensors":
            partial.write_bytes(save(dict(state_dict), metadata={"format": "pt"}))
        else:
            _torch_save(partial, path.name, state_dict)


def _torch_save(path: Path, name: str, state_dict: Mapping[str, np.ndarray]) -> None:
    try:
        import torch
    except ImportError as error:
        raise UserError(
            f"writing {name} needs PyTorch: pip install 'sirr_jax[torch]'; "
            "or write a .safetensors file with --layout torch, which needs no PyTorch"
        ) from error
    torch.save({key: _to_tensor(torch, value) for key, value in state_dict.items()}, path)


def _to_tensor(torch: ModuleType, value: np.ndarray) -> Any:
    # torch warns of read-only arrays and does not take NumPy's bfloat16.
    if value.dtype.name == "bfloat16":
        return torch.from_numpy(value.view(np.int16).copy()).view(torch.bfloat16)
    return torch.from_numpy(np.array(value, copy=True))
