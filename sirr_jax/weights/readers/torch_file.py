"""Reads PyTorch files, zip and legacy, without PyTorch."""

from __future__ import annotations

import io
import mmap
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sirr_jax.weights.errors import ConversionError
from sirr_jax.weights.readers.checkpoint_unwrap import select_state_dict
from sirr_jax.weights.readers.file_type import require_file_type
from sirr_jax.weights.readers.restricted_unpickler import DTYPES, TensorRef, unpickle

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001


class TorchFile(NamedTuple):
    """Contents of a PyTorch file whose tensors have not been read yet.

    Attributes:
        tree: contents, with tensors as `TensorRef` and objects of unknown classes as `InertObject`.
        read: function that returns the values of a `TensorRef`: a read-only view of the memory-mapped file.
    """

    tree: Any
    read: Callable[[TensorRef], np.ndarray]


def open_torch(path: str | Path) -> TorchFile:
    """Reads the structure of a PyTorch file (`.pth`, `.pt`, `.ckpt`, `.pkl`, `.bin`, `.pth.tar`), zip or legacy.

    Nothing in the file is executed: its pickle may name tensors, storages, dictionaries, numbers and strings; objects
    of other classes are ignored, and any other name is rejected.

    Args:
        path: PyTorch file.

    Raises:
        ConversionError: The file is missing, damaged or not a PyTorch file, or its pickle names code.
    """
    path = Path(path)
    require_file_type(path, "torch")
    try:
        with path.open("rb") as file:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        checkpoint = _ZipFile(data) if data[:2] == b"PK" else _LegacyFile(data)
        return TorchFile(checkpoint.tree, checkpoint.read)
    except ConversionError as error:
        raise error.about(path) from error


def read_torch(path: str | Path, *, part: str | None = None) -> dict[str, Any]:
    """Reads a state dict from a PyTorch file, zip or legacy (before 1.6, Python 2); see `open_torch`.

    The arrays have the file's dtypes (bfloat16 as `ml_dtypes.bfloat16`). Wrappers that training code puts around a
    state dict ("state_dict", "icnn", "generator", ...) and prefixes that all keys share ("module.", "netG.", ...) are
    removed; optimizer states are omitted. A moving average ("params_ema", "state_dict_ema", "ema_model.", ...) is
    preferred to the live weights, which complete it where it lacks arrays.

    Args:
        path: PyTorch file.
        part: name of a nested state dict, where the file has several; "live" for the weights that are no average.

    Returns:
        `{key: array}`. If the file contains several state dicts of equal rank (`{"bg": ..., "rf": ...}`) and `part` is
        None, all of them: `{name: {key: array}}`.

    Raises:
        ConversionError: The file is missing, damaged, not a PyTorch file or has no tensors, or its pickle names code.
    """
    tree, read = open_torch(path)
    try:
        return select_state_dict(tree, part=part, read=read)
    except ConversionError as error:
        raise error.about(path) from error


class _ZipFile:
    """Format since PyTorch 1.6: an uncompressed zip with one pickle and one entry for each storage."""

    def __init__(self, data: mmap.mmap) -> None:
        self._data = data
        try:
            with zipfile.ZipFile(_MemoryFile(memoryview(data))) as archive:
                self._entries = {entry.filename: entry for entry in archive.infolist()}
        except Exception as error:  # damaged files raise many types in zipfile
            raise ConversionError(f"the zip archive is damaged ({' '.join(str(error).split())[:80]})") from error
        pickles = [name for name in self._entries if name == "data.pkl" or name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise ConversionError("the zip archive contains no PyTorch state dict (expected one data.pkl)")
        self._root = pickles[0].removesuffix("data.pkl")
        if f"{self._root}constants.pkl" in self._entries:
            raise ConversionError(
                "the file is a TorchScript program; save its state dict: torch.save(m.state_dict(), path)"
            )
        order = self._entries.get(f"{self._root}byteorder")
        self._big = order is not None and bytes(self._raw(order)).strip() == b"big"
        pickled = self._raw(self._entries[pickles[0]])
        self.tree = unpickle(_MemoryFile(pickled))

    def read(self, tensor: TensorRef) -> np.ndarray:
        """Returns the tensor's values, a view of the file."""
        entry = self._entries.get(f"{self._root}data/{tensor.storage.key}")
        if entry is None:
            raise ConversionError(f"the archive has no data/{tensor.storage.key[:40]}, to which a tensor refers")
        return _view(self._raw(entry), tensor, big=self._big)

    def _raw(self, entry: zipfile.ZipInfo) -> memoryview:
        """Returns the bytes of an entry, without a copy."""
        if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1:
            raise ConversionError("the archive is compressed or encrypted, which PyTorch never does; save it again")
        header = self._data[entry.header_offset : entry.header_offset + 30]
        if len(header) < 30 or header[:4] != b"PK\x03\x04":
            raise ConversionError("the zip archive is damaged (a file header is missing)")
        start = entry.header_offset + 30 + sum(struct.unpack("<HH", header[26:30]))
        if entry.file_size != entry.compress_size or start + entry.file_size > len(self._data):
            raise ConversionError("the zip archive is truncated")
        return memoryview(self._data)[start : start + entry.file_size]


class _LegacyFile:
    """Format before 1.6: magic number, protocol, system, pickle, storage keys, then the storages one by one."""

    def __init__(self, data: mmap.mmap) -> None:
        file, size = _MemoryFile(memoryview(data)), len(data)
        if unpickle(file) != _MAGIC:
            raise ConversionError("the file is a pickle, but not of PyTorch")
        if unpickle(file) != _PROTOCOL:
            raise ConversionError("the file has an unknown version of PyTorch's legacy format")
        system = unpickle(file)
        self._big = isinstance(system, dict) and system.get("little_endian") is False
        dtypes: dict[str, np.dtype | None] = {}
        self.tree = unpickle(file, dtypes)
        keys = unpickle(file)
        if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
            raise ConversionError("the list of storages is damaged")
        self._raw: dict[str, memoryview] = {}
        position, view = file.tell(), memoryview(data)
        for key in keys:
            if key not in dtypes:
                raise ConversionError(f"the file contains storage {key[:40]!r}, to which no tensor refers")
            if position + 8 > size:
                raise ConversionError("the file is truncated: it ends before the tensors' values")
            (count,) = struct.unpack(">q" if self._big else "<q", view[position : position + 8])
            length = count * (dtypes[key] or DTYPES["Byte"]).itemsize
            if count < 0 or position + 8 + length > size:
                raise ConversionError("the file is truncated: it ends amid the tensors' values")
            self._raw[key] = view[position + 8 : position + 8 + length]
            position += 8 + length

    def read(self, tensor: TensorRef) -> np.ndarray:
        """Returns the tensor's values, a view of the file."""
        raw = self._raw.get(tensor.storage.key)
        if raw is None:
            raise ConversionError(f"the file has no storage {tensor.storage.key[:40]!r}, to which a tensor refers")
        return _view(raw[tensor.storage.start * tensor.dtype.itemsize :], tensor, big=self._big)


class _MemoryFile(io.RawIOBase):
    """Seekable file over memory that copies no more bytes than are read."""

    def __init__(self, data: memoryview) -> None:
        self._view, self._position = data, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = 0) -> int:
        self._position = max(offset + (0, self._position, len(self._view))[whence], 0)
        return self._position

    def read(self, size: int = -1) -> bytes:
        stop = len(self._view) if size is None or size < 0 else self._position + size
        content = bytes(self._view[self._position : stop])
        self._position += len(content)
        return content

    def readline(self, size: int | None = -1) -> bytes:  # noqa: ARG002 - the interface of files
        # Text arguments of opcodes are short; a longer line occurs only in damaged files.
        content = bytes(self._view[self._position : self._position + 65536])
        line = content[: content.find(b"\n") + 1 or len(content)]
        self._position += len(line)
        return line


def _view(raw: memoryview, tensor: TensorRef, *, big: bool) -> np.ndarray:
    dtype = tensor.dtype
    if len(raw) < tensor.storage.numel * dtype.itemsize:
        raise ConversionError("the file is truncated: a storage is shorter than its tensors")
    # An expanded tensor repeats its storage; a malicious one may do so a billion times.
    if np.prod(tensor.shape, dtype=float) > max(2 * tensor.storage.numel, 1 << 20):
        raise ConversionError(f"a tensor of shape {tensor.shape} repeats a storage of {tensor.storage.numel} elements")
    strides = tuple(step * dtype.itemsize for step in tensor.strides)
    array = np.ndarray(tensor.shape, dtype, raw, tensor.offset * dtype.itemsize, strides)
    return array.byteswap() if big and dtype.itemsize > 1 else array
