"""State dicts into files that PyTorch reads."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors.numpy import save

from sirr_jax.errors import UserError


def write_torch(path: str | Path, state_dict: Mapping[str, np.ndarray], *, overwrite: bool = False) -> None:
    """Write `{key: array}` with torch's keys and layouts.

    Args:
        path: `.safetensors` (needs no torch), or any other name for `torch.save`.
        state_dict: what `sirr_jax.weights.convert.to_torch` returned.
        overwrite: replace an existing file.

    Raises:
        UserError: if the file exists and `overwrite` is False, or torch is needed and not installed.
    """
    path = Path(path)
    if path.exists() and not overwrite:
        raise UserError(f"{path} exists; choose another name or ask to overwrite it")
    partial = path.with_name(path.name + ".partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        if path.suffix == ".safetensors":
            partial.write_bytes(save(dict(state_dict), metadata={"format": "pt"}))
        else:
            _torch_save(partial, state_dict)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _torch_save(path: Path, state_dict: Mapping[str, np.ndarray]) -> None:
    try:
        import torch
    except ImportError as error:
        raise UserError(
            f"writing {path.name.removesuffix('.partial')} needs PyTorch: pip install 'sirr_jax[torch]'; "
            "or write torch's layout as .safetensors, which needs none: --layout torch"
        ) from error
    torch.save({key: _tensor(torch, value) for key, value in state_dict.items()}, path)


def _tensor(torch: object, value: np.ndarray) -> object:
    # torch takes neither read-only arrays without a warning, nor NumPy's bfloat16 at all.
    if value.dtype.name == "bfloat16":
        return torch.from_numpy(value.view(np.int16).copy()).view(torch.bfloat16)
    return torch.from_numpy(np.array(value, copy=True))
