"""Reads Keras `.h5` files in a child process."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sirr_jax.errors import UserError
from sirr_jax.weights.errors import ConversionError
from sirr_jax.weights.readers.file_type import require_file_type

_WORKER = Path(__file__).with_name("hdf5_worker.py")
_TIMEOUT_SECONDS = 120.0


class H5Array(NamedTuple):
    """One array of a layer.

    Attributes:
        name: name in the file, for example `conv2d_31/kernel:0`.
        shape: shape in the file.
        dtype: NumPy dtype in the file.
        values: float32 values; None if they were not requested or are not floating-point numbers.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    values: np.ndarray | None

    def require_values(self, path: str | Path) -> np.ndarray:
        """Returns the values of an array that was requested.

        Args:
            path: file, for error messages.

        Raises:
            ConversionError: The array does not contain floating-point numbers.
        """
        if self.values is None:
            raise ConversionError(f"{path}: {self.name} contains {self.dtype}; expected floating-point numbers")
        return self.values


class H5Layer(NamedTuple):
    """Layer, or model inside a model.

    Attributes:
        name: name in the file.
        arrays: arrays in the saved order.
    """

    name: str
    arrays: tuple[H5Array, ...]


def read_h5(path: str | Path, pattern: str | None = None) -> tuple[H5Layer, ...]:
    """Reads the weights of a Keras file, weights-only or full model.

    A child process reads the file, because the HDF5 library can crash or hang on damaged files: version 1.14.6 crashes
    on 7 and hangs on 17 of 20,000 files with a few changed bytes. Links and arrays in other files are rejected.

    Args:
        path: `.h5` file.
        pattern: regular expression; arrays have values in the layers whose whole name matches. None for no layer.

    Returns:
        Layers in the saved order.

    Raises:
        ConversionError: The file is missing, not HDF5, damaged, or does not contain weights in Keras's layout.
        UserError: h5py is not installed.
    """
    path = Path(path)
    require_file_type(path, "hdf5")
    require_h5py(path)
    header, data = _run_worker(path, pattern)
    if "error" in header:
        raise ConversionError(f"{path} cannot be read as Keras weights ({header['error']}); download or save it again")
    layers, start = [], 0
    for layer, entries in header["layers"]:
        arrays = []
        for name, shape, dtype, size in entries:
            values = np.frombuffer(data[start : start + size], "<f4").reshape(shape) if size else None
            arrays.append(H5Array(name, tuple(shape), dtype, values))
            start += size
        layers.append(H5Layer(layer, tuple(arrays)))
    return tuple(layers)


def require_h5py(path: Path) -> None:
    """Checks that h5py is installed.

    Args:
        path: Keras file that needs it, for the error message.

    Raises:
        UserError: h5py is not installed.
    """
    if importlib.util.find_spec("h5py") is None:
        raise UserError(f"{path} is a Keras file, which needs h5py: pip install 'sirr_jax[keras]'")


def _run_worker(path: Path, pattern: str | None) -> tuple[dict[str, list], memoryview]:
    """Runs the worker and returns its line of JSON and the bytes after it."""
    command = [sys.executable, "-P", str(_WORKER), str(path.absolute()), *([] if pattern is None else [pattern])]
    # The child process needs the import path of this process, however that was set up. One thread is enough.
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OPENBLAS_NUM_THREADS": "1"}
    try:
        completed = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIMEOUT_SECONDS,
            check=False,
            env=environment,
        )
    except subprocess.TimeoutExpired as error:
        raise ConversionError(f"{path} is damaged (the HDF5 library hangs on it); download it again") from error
    line, _, data = completed.stdout.partition(b"\n")
    if completed.returncode:
        last_line = completed.stderr.decode(errors="replace").strip().splitlines()[-1:]
        reason = f"exit code {completed.returncode}: {' '.join(last_line)[:200]}"
        raise ConversionError(f"{path} is damaged (the HDF5 library crashes on it; {reason}); download it again")
    return json.loads(line), memoryview(data)
