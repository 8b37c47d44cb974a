"""Reads pickles of tensors without importing or running what they name."""

from __future__ import annotations

import io
import pickle
import re
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple, cast

import ml_dtypes
import numpy as np

from sirr_jax.weights.errors import ConversionError
from sirr_jax.weights.readers.inert_object import InertObject, may_be_inert

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
    """Reference to a storage: raw values elsewhere in the file.

    Attributes:
        key: key of the storage.
        dtype: type of its elements; None for untyped bytes.
        numel: number of elements (bytes, if untyped).
        start: first element of a view of the storage (legacy files only).
        whole: number of elements of the whole storage; `numel` where this is not a view.
    """

    key: str
    dtype: np.dtype | None
    numel: int
    start: int = 0
    whole: int = 0


class TensorRef(NamedTuple):
    """Reference to a tensor whose values have not been read yet.

    Attributes:
        storage: storage that contains the values.
        dtype: type of the elements.
        offset: first element in the storage.
        shape: shape.
        strides: strides in elements.
    """

    storage: StorageRef
    dtype: np.dtype
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _AllowedGlobal:
    """Stand-in for a global that a pickle may name. Pickles cannot change its state."""

    __slots__ = ("_make", "name")

    def __init__(self, name: str, make: Callable[..., Any]) -> None:
        self.name = name
        self._make = make

    def __call__(self, *args: Any) -> Any:
        return self._make(*args)

    def __setstate__(self, state: Any) -> None:
        raise ConversionError(f"the pickle tries to change {self.name}; nothing was run")


class _PlainDict(dict):
    """`OrderedDict` without the attributes (`_metadata`) that torch adds to it."""

    def __init__(self, items: Any = ()) -> None:
        # Python 2 writes the items as lists of two.
        if not isinstance(items, list | tuple) or not all(isinstance(x, list | tuple) and len(x) == 2 for x in items):
            raise ConversionError("the pickle contains a malformed dictionary")
        for key, _ in items:
            _check_key(key)
        super().__init__(items)

    def __setstate__(self, state: Any) -> None:
        """Ignores the attributes."""


def _check_key(key: Any) -> None:
    # The time to hash nested tuples is exponential in their depth.
    if isinstance(key, tuple) and len(key) <= 32 and all(isinstance(part, str | int | float | None) for part in key):
        return
    if not isinstance(key, str | int | float | bytes | InertObject | None):
        raise ConversionError(f"the pickle contains a dictionary with a {type(key).__name__} as key; expected names")


class _StorageType(_AllowedGlobal):
    __slots__ = ("dtype",)

    def __init__(self, name: str, dtype: np.dtype | None) -> None:
        super().__init__(name, self._refuse)
        self.dtype = dtype

    def _refuse(self, *_: Any) -> None:
        raise ConversionError(f"the pickle contains a bare {self.name}; expected tensors")


class _NumpyDtype:
    """`numpy.dtype` of a scalar, rebuilt from its name and byte order alone."""

    __slots__ = ("order", "text")

    def __init__(self, text: Any, *_: Any) -> None:
        if not isinstance(text, str) or not re.fullmatch(r"[biuf]\d", text):
            raise ConversionError(f"the pickle contains NumPy data of type {str(text)[:40]!r}; expected plain numbers")
        self.text, self.order = text, "<"

    def __setstate__(self, state: Any) -> None:
        if isinstance(state, tuple) and len(state) > 1 and state[1] in ("<", ">", "|"):
            self.order = state[1]


def _numpy_scalar(dtype: Any, data: Any = b"") -> Any:
    if not isinstance(dtype, _NumpyDtype):
        raise ConversionError("the pickle contains a malformed NumPy number")
    raw = data.encode("latin1") if isinstance(data, str) else data
    scalar_dtype = np.dtype(dtype.order + dtype.text)
    if not isinstance(raw, bytes) or len(raw) != scalar_dtype.itemsize:
        raise ConversionError("the pickle contains a malformed NumPy number")
    return np.frombuffer(raw, scalar_dtype)[0].item()


def _encode(text: Any, encoding: Any = "latin1") -> bytes:
    """Stands in for `_codecs.encode(text, "latin1")`, the form in which Python 3 writes bytes in protocol 2."""
    if not isinstance(text, str) or encoding != "latin1":
        raise ConversionError("the pickle contains a malformed byte string")
    return text.encode("latin1")


def _check_sizes(values: Any) -> tuple[int, ...]:
    is_short = isinstance(values, tuple | list) and len(values) <= 32
    if not is_short or not all(type(v) is int and 0 <= v < 1 << 48 for v in values):
        raise ConversionError(f"the pickle contains a tensor of shape or stride {str(values)[:60]}")
    return tuple(values)


def _make_tensor(storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> TensorRef:
    if not isinstance(storage, StorageRef) or storage.dtype is None:
        raise ConversionError("the pickle contains a tensor without a typed storage")
    return _check_tensor(storage, storage.dtype, offset, size, stride)


def _make_typed_tensor(storage: Any, offset: Any, size: Any, stride: Any, *rest: Any) -> TensorRef:
    """Stands in for `_rebuild_tensor_v3`: an untyped storage, and the dtype among the last arguments."""
    dtype = next((value.dtype for value in rest if isinstance(value, _StorageType)), None)
    if not isinstance(storage, StorageRef) or dtype is None:
        raise ConversionError("the pickle contains a tensor of an unknown dtype")
    return _check_tensor(
        storage._replace(dtype=dtype, numel=storage.numel // dtype.itemsize), dtype, offset, size, stride
    )


def _check_tensor(storage: StorageRef, dtype: np.dtype, offset: Any, size: Any, stride: Any) -> TensorRef:
    shape, strides = _check_sizes(size), _check_sizes(stride)
    (start,) = _check_sizes((offset,))
    last = start + sum((n - 1) * step for n, step in zip(shape, strides, strict=False))
    if len(shape) != len(strides) or (0 not in shape and last >= storage.numel):
        raise ConversionError(f"the pickle contains a tensor that exceeds its storage of {storage.numel} elements")
    return TensorRef(storage, dtype, start, shape, strides)


def _make_parameter(data: Any, *_: Any) -> Any:
    return data


def _make_subclass(rebuild: Any = None, _: Any = None, args: Any = (), *__: Any) -> Any:
    """Stands in for `_rebuild_from_type_v2(function, class, args, state)`: a tensor of a subclass, as a tensor."""
    if not isinstance(rebuild, _AllowedGlobal) or not isinstance(args, tuple):
        raise ConversionError("the pickle contains a malformed tensor of a subclass")
    return rebuild(*args)


def _make_default_dict(*_: Any) -> _PlainDict:
    """Stands in for `defaultdict(factory)`, whose items follow."""
    return _PlainDict()


_ALLOWED: dict[tuple[str, str], _AllowedGlobal] = {
    ("collections", "OrderedDict"): _AllowedGlobal("OrderedDict", _PlainDict),
    ("collections", "defaultdict"): _AllowedGlobal("defaultdict", _make_default_dict),
    ("torch._utils", "_rebuild_tensor"): _AllowedGlobal("a tensor", _make_tensor),
    ("torch._utils", "_rebuild_tensor_v2"): _AllowedGlobal("a tensor", _make_tensor),
    ("torch._utils", "_rebuild_tensor_v3"): _AllowedGlobal("a tensor", _make_typed_tensor),
    ("torch._utils", "_rebuild_parameter"): _AllowedGlobal("a parameter", _make_parameter),
    ("torch._utils", "_rebuild_parameter_with_state"): _AllowedGlobal("a parameter", _make_parameter),
    ("torch._tensor", "_rebuild_from_type_v2"): _AllowedGlobal("a tensor", _make_subclass),
    ("torch", "Size"): _AllowedGlobal("a size", lambda values=(): _check_sizes(values)),
    ("torch", "device"): _AllowedGlobal("a device", lambda *names: ":".join(str(name)[:20] for name in names)),
    ("torch.storage", "UntypedStorage"): _StorageType("UntypedStorage", None),
    ("torch.storage", "_UntypedStorage"): _StorageType("UntypedStorage", None),
    ("torch", "UntypedStorage"): _StorageType("UntypedStorage", None),
    ("_codecs", "encode"): _AllowedGlobal("bytes", _encode),
}
for _module in ("numpy.core.multiarray", "numpy._core.multiarray"):
    _ALLOWED[_module, "scalar"] = _AllowedGlobal("a NumPy number", _numpy_scalar)
_ALLOWED["numpy", "dtype"] = _AllowedGlobal("a NumPy type", _NumpyDtype)
for _name, _dtype in DTYPES.items():
    for _module in ("torch", "torch.cuda"):
        _ALLOWED[_module, f"{_name}Storage"] = _StorageType(f"{_name}Storage", _dtype)
for _name, _storage in _TORCH_DTYPES.items():
    _ALLOWED["torch", _name] = _StorageType(f"torch.{_name}", DTYPES[_storage])


# Opcodes for containers of tensors in the protocols 0 to 5, and for instances of classes, which are ignored. Omitted:
# instances in the form of Python 1, extensions of copyreg, sets (which hash their elements), persistent ids as text.
_OPCODES = (  # noqa: SIM905 - read as words
    "PROTO FRAME STOP MARK POP POP_MARK DUP NONE NEWTRUE NEWFALSE INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT "
    "BINFLOAT STRING BINSTRING SHORT_BINSTRING BINBYTES SHORT_BINBYTES BINBYTES8 UNICODE BINUNICODE SHORT_BINUNICODE "
    "BINUNICODE8 LIST EMPTY_LIST APPEND APPENDS TUPLE EMPTY_TUPLE TUPLE1 TUPLE2 TUPLE3 EMPTY_DICT SETITEM SETITEMS GET "
    "BINGET LONG_BINGET PUT BINPUT LONG_BINPUT MEMOIZE GLOBAL STACK_GLOBAL REDUCE BUILD NEWOBJ NEWOBJ_EX BINPERSID"
).split()


_BASE_DISPATCH = cast("dict[int, Callable[..., None]]", pickle._Unpickler.dispatch)


# The unpickler written in Python, since the one in C allocates as many bytes as a single opcode claims.
class _Unpickler(pickle._Unpickler):
    """Unpickler that resolves the names in `_ALLOWED`; any other class becomes an `InertObject`.

    Attributes:
        storages: dtypes of all storages that the pickle refers to, by key; None for untyped bytes.
    """

    stack: list[Any]
    storages: dict[str, np.dtype | None]
    dispatch: ClassVar[dict[int, Callable[..., None]]] = {
        getattr(pickle, name)[0]: _BASE_DISPATCH[getattr(pickle, name)[0]] for name in _OPCODES
    }

    def find_class(self, module: str, name: str) -> Any:
        """Looks up a global in `_ALLOWED`. Any other is ignored or rejected, and never imported."""
        if (module, name) in _ALLOWED:
            return _ALLOWED[module, name]
        if may_be_inert(module, name):
            return InertObject(f"{module}.{name}"[:120])
        # The name comes from the file and may be long.
        raise ConversionError(
            f"the pickle asks for {f'{module}.{name}'[:120]}, which is neither a tensor, a dictionary, a number nor a "
            "string; nothing was run. Save the bare state dict: torch.save(model.state_dict(), path)"
        )

    def persistent_load(self, pid: Any) -> StorageRef | InertObject:
        """Makes the reference of `("storage", type, key, location, numel[, view])`."""
        if isinstance(pid, tuple) and len(pid) == 4 and pid[0] == "module" and isinstance(pid[1], InertObject):
            return pid[1]  # class of a whole pickled module, with its source code
        if not (isinstance(pid, tuple) and len(pid) in (5, 6) and pid[0] == "storage"):
            raise ConversionError("the pickle refers to something that is not a tensor storage")
        _, storage_type, key, _, numel, *view = pid
        if not isinstance(storage_type, _StorageType) or not isinstance(key, str):
            raise ConversionError("the pickle contains a tensor storage of an unknown type")
        self.storages[key] = storage_type.dtype
        (count,) = _check_sizes((numel,))
        if view and view[0] is not None:
            _, start, size = view[0] if isinstance(view[0], tuple) and len(view[0]) == 3 else (None, -1, -1)
            start, size = _check_sizes((start, size))
            if start + size > count:
                raise ConversionError("the pickle contains a view that exceeds its storage")
            return StorageRef(key, storage_type.dtype, size, start, count)
        return StorageRef(key, storage_type.dtype, count, 0, count)

    def _load_setitem(self) -> None:
        _check_key(self.stack[-2])
        _BASE_DISPATCH[pickle.SETITEM[0]](self)

    def _load_setitems(self) -> None:
        for key in self.stack[::2]:
            _check_key(key)
        _BASE_DISPATCH[pickle.SETITEMS[0]](self)

    def _load_newobj(self) -> None:
        arguments, cls = self.stack.pop(), self.stack.pop()
        if not isinstance(cls, InertObject) or not isinstance(arguments, tuple):
            raise ConversionError("the pickle contains an instance of a type that has none")
        self.stack.append(cls)

    def _load_newobj_ex(self) -> None:
        self.stack.pop()  # arguments by name
        self._load_newobj()

    dispatch[pickle.SETITEM[0]] = _load_setitem
    dispatch[pickle.SETITEMS[0]] = _load_setitems
    dispatch[pickle.NEWOBJ[0]] = _load_newobj
    dispatch[pickle.NEWOBJ_EX[0]] = _load_newobj_ex


def unpickle(file: io.RawIOBase, storages: dict[str, np.dtype | None] | None = None) -> Any:
    """Reads one pickle at the file's position and leaves the position behind it.

    Args:
        file: file that never allocates more than its size, however many bytes are requested.
        storages: dict that receives the dtype of each storage that the pickle refers to, by key.

    Returns:
        The pickled object: tensors as `TensorRef`; dictionaries, lists, tuples, numbers, strings and None unchanged;
        objects of any other class as `InertObject`.

    Raises:
        ConversionError: The pickle is damaged or names functions. Nothing that it names is imported or run.
    """
    try:
        # Python 2 wrote strings as bytes.
        unpickler = _Unpickler(file, encoding="latin1")
        unpickler.storages = {} if storages is None else storages
        return unpickler.load()
    except ConversionError:
        raise
    except Exception as error:  # damaged pickles raise many types
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise ConversionError(f"the pickle is damaged ({reason})") from error
