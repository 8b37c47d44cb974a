"""Reading pickles of tensors without running anything that they ask for."""

from __future__ import annotations

import io
import pickle
import re
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import ml_dtypes
import numpy as np

from sirr_jax.weights.errors import ConversionError

DTYPES = {
    "Double": np.dtype(np.float64),
    "Float": np.dtype(np.float32),
    "Half": np.dtype(np.float16),
    "BFloat16": np.dtype(ml_dtypes.bfloat16),
    "Long": np.dtype(np.int64),
    "Int": np.dtype(np.int32),
    "Short": np.dtype(np.int16),
    "Char": np.dtype(np.int8),
    "Byte": np.dtype(np.uint8),
    "Bool": np.dtype(np.bool_),
}
_TORCH_DTYPES = {
    "float64": "Double",
    "float32": "Float",
    "float16": "Half",
    "bfloat16": "BFloat16",
    "int64": "Long",
    "int32": "Int",
    "int16": "Short",
    "int8": "Char",
    "uint8": "Byte",
    "bool": "Bool",
}


class StorageRef(NamedTuple):
    """Raw numbers that lie elsewhere in the file.

    Attributes:
        key: which storage.
        dtype: type of its elements; None for untyped bytes.
        numel: how many elements it has (bytes, if untyped).
        start: element at which a view into it starts (legacy files only).
        whole: elements of the storage that the view looks into; `numel` where it is no view.
    """

    key: str
    dtype: np.dtype | None
    numel: int
    start: int = 0
    whole: int = 0


class TensorRef(NamedTuple):
    """A tensor whose numbers have not been read yet; offset and strides count elements."""

    storage: StorageRef
    dtype: np.dtype
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Allowed:
    """A stand-in for something that a pickle may name. Pickles cannot change its state."""

    __slots__ = ("_make", "name")

    def __init__(self, name: str, make: Callable[..., Any]) -> None:
        self.name = name
        self._make = make

    def __call__(self, *args: Any) -> Any:
        return self._make(*args)

    def __setstate__(self, state: Any) -> None:
        raise ConversionError(f"the pickle tries to change {self.name}; nothing was run")


class _Dict(dict):
    """An `OrderedDict` without the attributes (`_metadata`) that torch hangs on it."""

    def __init__(self, items: Any = ()) -> None:
        # Python 2 gives the items as lists of two.
        if not isinstance(items, list | tuple) or not all(isinstance(x, list | tuple) and len(x) == 2 for x in items):
            raise ConversionError("the pickle holds a malformed dictionary")
        for key, _ in items:
            _check_key(key)
        super().__init__(items)

    def __setstate__(self, state: Any) -> None:
        """Forget them."""


def _check_key(key: Any) -> None:
    # Hashing nested tuples takes time exponential in their depth.
    if not isinstance(key, str | int | float | bytes | None):
        raise ConversionError(f"the pickle holds a dictionary with a {type(key).__name__} as key; expected names")


class _StorageType(_Allowed):
    __slots__ = ("dtype",)

    def __init__(self, name: str, dtype: np.dtype | None) -> None:
        super().__init__(name, self._refuse)
        self.dtype = dtype

    def _refuse(self, *_: Any) -> None:
        raise ConversionError(f"the pickle holds a bare {self.name}; expected tensors")


class _NumpyDtype:
    """`numpy.dtype` of a scalar, rebuilt from its name and byte order alone."""

    __slots__ = ("order", "text")

    def __init__(self, text: Any, *_: Any) -> None:
        if not isinstance(text, str) or not re.fullmatch(r"[biuf]\d", text):
            raise ConversionError(f"the pickle holds NumPy data of type {str(text)[:40]!r}; expected plain numbers")
        self.text, self.order = text, "<"

    def __setstate__(self, state: Any) -> None:
        if isinstance(state, tuple) and len(state) > 1 and state[1] in ("<", ">", "|"):
            self.order = state[1]


def _numpy_scalar(dtype: Any, data: Any = b"") -> Any:
    if not isinstance(dtype, _NumpyDtype):
        raise ConversionError("the pickle holds a malformed NumPy number")
    raw = data.encode("latin1") if isinstance(data, str) else data
    kind = np.dtype(dtype.order + dtype.text)
    if not isinstance(raw, bytes) or len(raw) != kind.itemsize:
        raise ConversionError("the pickle holds a malformed NumPy number")
    return np.frombuffer(raw, kind)[0].item()


def _encode(text: Any, encoding: Any = "latin1") -> bytes:
    """Python 3 writes bytes for protocol 2 as `_codecs.encode(str, "latin1")`."""
    if not isinstance(text, str) or encoding != "latin1":
        raise ConversionError("the pickle holds a malformed byte string")
    return text.encode("latin1")


def _whole_numbers(values: Any) -> tuple[int, ...]:
    good = isinstance(values, tuple | list) and len(values) <= 32
    if not good or not all(type(v) is int and 0 <= v < 1 << 48 for v in values):
        raise ConversionError(f"the pickle holds a tensor of shape or stride {str(values)[:60]}")
    return tuple(values)


def _tensor(storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> TensorRef:
    if not isinstance(storage, StorageRef) or storage.dtype is None:
        raise ConversionError("the pickle holds a tensor without a typed storage")
    return _checked(storage, storage.dtype, offset, size, stride)


def _tensor_of_type(storage: Any, offset: Any, size: Any, stride: Any, *rest: Any) -> TensorRef:
    """`_rebuild_tensor_v3`: an untyped storage, the type last."""
    dtype = next((value.dtype for value in rest if isinstance(value, _StorageType)), None)
    if not isinstance(storage, StorageRef) or dtype is None:
        raise ConversionError("the pickle holds a tensor without a type that is known here")
    return _checked(storage._replace(dtype=dtype, numel=storage.numel // dtype.itemsize), dtype, offset, size, stride)


def _checked(storage: StorageRef, dtype: np.dtype, offset: Any, size: Any, stride: Any) -> TensorRef:
    shape, strides = _whole_numbers(size), _whole_numbers(stride)
    (start,) = _whole_numbers((offset,))
    last = start + sum((n - 1) * step for n, step in zip(shape, strides, strict=False))
    if len(shape) != len(strides) or (0 not in shape and last >= storage.numel):
        raise ConversionError(f"the pickle holds a tensor that reaches beyond its storage ({storage.numel} numbers)")
    return TensorRef(storage, dtype, start, shape, strides)


def _parameter(data: Any, *_: Any) -> Any:
    return data


_ALLOWED: dict[tuple[str, str], _Allowed] = {
    ("collections", "OrderedDict"): _Allowed("OrderedDict", _Dict),
    ("torch._utils", "_rebuild_tensor"): _Allowed("a tensor", _tensor),
    ("torch._utils", "_rebuild_tensor_v2"): _Allowed("a tensor", _tensor),
    ("torch._utils", "_rebuild_tensor_v3"): _Allowed("a tensor", _tensor_of_type),
    ("torch._utils", "_rebuild_parameter"): _Allowed("a parameter", _parameter),
    ("torch._utils", "_rebuild_parameter_with_state"): _Allowed("a parameter", _parameter),
    ("torch", "Size"): _Allowed("a size", lambda values=(): _whole_numbers(values)),
    ("torch", "device"): _Allowed("a device", lambda *names: ":".join(str(name)[:20] for name in names)),
    ("torch.storage", "UntypedStorage"): _StorageType("UntypedStorage", None),
    ("torch.storage", "_UntypedStorage"): _StorageType("UntypedStorage", None),
    ("torch", "UntypedStorage"): _StorageType("UntypedStorage", None),
    ("_codecs", "encode"): _Allowed("bytes", _encode),
}
for _module in ("numpy.core.multiarray", "numpy._core.multiarray"):
    _ALLOWED[_module, "scalar"] = _Allowed("a NumPy number", _numpy_scalar)
_ALLOWED["numpy", "dtype"] = _Allowed("a NumPy type", _NumpyDtype)
for _name, _dtype in DTYPES.items():
    for _module in ("torch", "torch.cuda"):
        _ALLOWED[_module, f"{_name}Storage"] = _StorageType(f"{_name}Storage", _dtype)
for _name, _kind in _TORCH_DTYPES.items():
    _ALLOWED["torch", _name] = _StorageType(f"torch.{_name}", DTYPES[_kind])


# What lists of tensors are written with, from protocol 0 to 5. Not among them: making instances of classes, copyreg's
# extensions, sets (their elements are hashed), text references.
_OPCODES = (  # noqa: SIM905 - read as words
    "PROTO FRAME STOP MARK POP POP_MARK DUP NONE NEWTRUE NEWFALSE INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT "
    "BINFLOAT STRING BINSTRING SHORT_BINSTRING BINBYTES SHORT_BINBYTES BINBYTES8 UNICODE BINUNICODE SHORT_BINUNICODE "
    "BINUNICODE8 LIST EMPTY_LIST APPEND APPENDS TUPLE EMPTY_TUPLE TUPLE1 TUPLE2 TUPLE3 EMPTY_DICT SETITEM SETITEMS GET "
    "BINGET LONG_BINGET PUT BINPUT LONG_BINPUT MEMOIZE GLOBAL STACK_GLOBAL REDUCE BUILD BINPERSID"
).split()


# The interpreter written in Python: the one in C allocates whatever a single opcode claims to need.
class _Unpickler(pickle._Unpickler):
    """Finds what `_ALLOWED` lists and nothing else."""

    dispatch: ClassVar[dict[int, Callable[..., None]]] = {
        getattr(pickle, name)[0]: pickle._Unpickler.dispatch[getattr(pickle, name)[0]] for name in _OPCODES
    }

    def find_class(self, module: str, name: str) -> Any:
        """Look up a name; anything unlisted is refused by name, never imported."""
        if (module, name) in _ALLOWED:
            return _ALLOWED[module, name]
        # Names come from the file: show them, cut to a decent length.
        raise ConversionError(
            f"the pickle asks for {f'{module}.{name}'[:120]}, which is neither a tensor, a dictionary, a number nor a "
            "string; nothing was run. Save the bare state dict: torch.save(model.state_dict(), path)"
        )

    def persistent_load(self, pid: Any) -> StorageRef:
        """Describe a storage: `("storage", type, key, location, numel[, view])`."""
        if not (isinstance(pid, tuple) and len(pid) in (5, 6) and pid[0] == "storage"):
            raise ConversionError("the pickle refers to something that is no tensor storage")
        _, kind, key, _, numel, *view = pid
        if not isinstance(kind, _StorageType) or not isinstance(key, str):
            raise ConversionError("the pickle holds a tensor storage of an unknown type")
        (count,) = _whole_numbers((numel,))
        if view and view[0] is not None:
            _, start, size = view[0] if isinstance(view[0], tuple) and len(view[0]) == 3 else (None, -1, -1)
            start, size = _whole_numbers((start, size))
            if start + size > count:
                raise ConversionError("the pickle holds a view that reaches beyond its storage")
            return StorageRef(key, kind.dtype, size, start, count)
        return StorageRef(key, kind.dtype, count, 0, count)

    def _load_setitem(self) -> None:
        _check_key(self.stack[-2])
        pickle._Unpickler.dispatch[pickle.SETITEM[0]](self)

    def _load_setitems(self) -> None:
        for key in self.stack[::2]:
            _check_key(key)
        pickle._Unpickler.dispatch[pickle.SETITEMS[0]](self)

    dispatch[pickle.SETITEM[0]] = _load_setitem
    dispatch[pickle.SETITEMS[0]] = _load_setitems


def unpickle(file: io.RawIOBase) -> Any:
    """Read one pickle at the file's position and leave the position behind it.

    Tensors come back as `TensorRef`; dictionaries, lists, tuples, numbers, strings and None as themselves.

    Args:
        file: must not allocate more than it holds, whatever number of bytes is asked for.

    Raises:
        ConversionError: if the pickle is damaged or asks for anything else. Nothing that it names is imported or run.
    """
    try:
        # Python 2 wrote strings as bytes.
        return _Unpickler(file, encoding="latin1").load()
    except ConversionError:
        raise
    except Exception as error:  # damage shows as any of a dozen types
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise ConversionError(f"the pickle is damaged ({reason})") from error
