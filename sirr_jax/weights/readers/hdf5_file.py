"""Keras's `.h5` files, read in a process of their own."""

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
from sirr_jax.weights.readers.file_type import expect

_CHILD = Path(__file__).with_name("hdf5_worker.py")
_SECONDS = 120.0


class H5Array(NamedTuple):
    """One array of a layer.

    Attributes:
        name: as the file has it, for example `conv2d_31/kernel:0`.
        shape: as stored.
        dtype: as stored.
        values: float32; None if they were not asked for or are no floating-point numbers.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    values: np.ndarray | None

    def numbers(self, path: str | Path) -> np.ndarray:
        """The values of an array that was asked for.

        Raises:
            ConversionError: if it holds no floating-point numbers.
        """
        if self.values is None:
            raise ConversionError(f"{path}: {self.name} holds {self.dtype}; expected floating-point numbers")
        return self.values


class H5Layer(NamedTuple):
    """A layer, or a model inside a model, with its arrays in the saved order."""

    name: str
    arrays: tuple[H5Array, ...]


def read_h5(path: str | Path, wanted: str | None = None) -> tuple[H5Layer, ...]:
    """Read the weights of a Keras file, weights-only or full model.

    HDF5's library can crash or hang on damaged files (version 1.14.6: on 7 and 17 of 20,000 with a few changed bytes),
    so a child process reads, and this one lives on. Links and arrays that point to other files are refused.

    Args:
        path: the file.
        wanted: regular expression; layers whose whole name matches come with their numbers, the others without.

    Returns:
        The layers in the saved order.

    Raises:
        ConversionError: if the file is missing, no HDF5, damaged, or holds no weights as Keras writes them.
        UserError: if h5py is not installed.
    """
    path = Path(path)
    expect(path, "hdf5")
    require_h5py(path)
    header, data = _answer(path, wanted)
    if "error" in header:
        raise ConversionError(f"{path} cannot be read as Keras weights ({header['error']}); get or save it again")
    layers, start = [], 0
    for layer, described in header["layers"]:
        arrays = []
        for name, shape, dtype, size in described:
            values = np.frombuffer(data[start : start + size], "<f4").reshape(shape) if size else None
            arrays.append(H5Array(name, tuple(shape), dtype, values))
            start += size
        layers.append(H5Layer(layer, tuple(arrays)))
    return tuple(layers)


def require_h5py(path: Path) -> None:
    """Say in one line what is needed for `path`, if it is not there.

    Raises:
        UserError: if h5py is not installed.
    """
    if importlib.util.find_spec("h5py") is None:
        raise UserError(f"{path} is a Keras file, for which h5py is needed: pip install 'sirr_jax[keras]'")


def _answer(path: Path, wanted: str | None) -> tuple[dict[str, list], memoryview]:
    """What the child says: its line of JSON, and the bytes after it."""
    command = [sys.executable, "-P", str(_CHILD), str(path.absolute()), *([] if wanted is None else [wanted])]
    # The child must find what this process finds, however its path was set up; one thread is enough for it.
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OPENBLAS_NUM_THREADS": "1"}
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_SECONDS, check=False, env=environment
        )
    except subprocess.TimeoutExpired as error:
        raise ConversionError(f"{path} is damaged (HDF5's library hangs on it); download it again") from error
    line, _, data = done.stdout.partition(b"\n")
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        reason = f"exit code {done.returncode}: {' '.join(said)[:200]}"
        raise ConversionError(f"{path} is damaged (HDF5's library crashes on it; {reason}); download it again")
    return json.loads(line), memoryview(data)
