"""PyTorch's file formats, written by hand: no torch needed, and any malice can be put in."""

from __future__ import annotations

import struct
import zipfile
from typing import Any, NamedTuple

import numpy as np

_STORAGES = {
    "float64": "Double",
    "float32": "Float",
    "float16": "Half",
    "bfloat16": "BFloat16",
    "int64": "Long",
    "int32": "Int",
    "uint8": "Byte",
    "bool": "Bool",
}


class Call(NamedTuple):
    """`module.name(*args)`, run by whoever trusts the pickle."""

    module: str
    name: str
    args: tuple


class Built(NamedTuple):
    """An object whose state is then set."""

    thing: Any
    state: Any


class Strided(NamedTuple):
    """A tensor that looks into a storage; counts are of elements."""

    base: np.ndarray
    offset: int
    shape: tuple
    strides: tuple


class Raw(NamedTuple):
    """Opcodes as they are."""

    code: bytes


class Writer:
    """Encodes trees; collects the storages that their tensors refer to."""

    def __init__(self, *, python2=False, location="cpu", rebuild="_rebuild_tensor_v2", views=False):
        self.python2, self.location, self.rebuild, self.views = python2, location, rebuild, views
        self.storages = {}

    def pickle(self, tree):
        return b"\x80\x02" + self.encode(tree) + b"."

    def encode(self, x):
        if isinstance(x, Raw):
            return x.code
        if isinstance(x, Call):
            return self.name(x.module, x.name) + self.encode(x.args) + b"R"
        if isinstance(x, Built):
            return self.encode(x.thing) + self.encode(x.state) + b"b"
        if isinstance(x, Strided):
            return self.tensor(x.base, x.offset, x.shape, x.strides)
        if isinstance(x, np.ndarray):
            x = np.asarray(x, order="C")
            return self.tensor(x, 0, x.shape, tuple(step // x.itemsize for step in x.strides))
        if x is None or isinstance(x, bool):
            return {None: b"N", True: b"\x88", False: b"\x89"}[x]
        if isinstance(x, str):
            raw = x.encode()
            if self.python2 and len(raw) < 256:
                return b"U" + bytes([len(raw)]) + raw
            return b"X" + struct.pack("<I", len(raw)) + raw
        if isinstance(x, float):
            return b"G" + struct.pack(">d", x)
        if isinstance(x, int):
            if 0 <= x < 1 << 31:
                return b"J" + struct.pack("<i", x)
            raw = x.to_bytes(12, "little", signed=True)
            return b"\x8a" + bytes([len(raw)]) + raw
        if isinstance(x, dict):
            start = b"}" if type(x) is dict else self.name("collections", "OrderedDict") + b")R"
            return start + b"(" + b"".join(self.encode(k) + self.encode(v) for k, v in x.items()) + b"u"
        if isinstance(x, tuple):
            return b"(" + b"".join(map(self.encode, x)) + b"t"
        if isinstance(x, list):
            return b"](" + b"".join(map(self.encode, x)) + b"e"
        raise TypeError(type(x))

    def name(self, module, name):
        return b"c" + module.encode() + b"\n" + name.encode() + b"\n"

    def storage(self, base):
        key = next((key for key, known in self.storages.items() if known is base), str(140000 + len(self.storages)))
        self.storages[key] = base
        module = "torch.cuda" if self.location.startswith("cuda") else "torch"
        view = (None,) if self.views else ()
        kind = Raw(self.name(module, f"{_STORAGES[base.dtype.name]}Storage"))
        return self.encode(("storage", kind, key, self.location, base.size, *view)) + b"Q"

    def tensor(self, base, offset, shape, strides):
        arguments = [Raw(self.storage(base)), offset, tuple(shape), tuple(strides)]
        if self.rebuild == "_rebuild_tensor_v2":
            arguments += [False, Call("collections", "OrderedDict", ())]
        return self.encode(Call("torch._utils", self.rebuild, tuple(arguments)))


def write_zip(path, tree, *, extra=(), compression=zipfile.ZIP_STORED, root="archive", **options):
    """The format since PyTorch 1.6."""
    writer = Writer(**options)
    pickled = writer.pickle(tree)
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr(f"{root}/data.pkl", pickled)
        for key, base in writer.storages.items():
            archive.writestr(f"{root}/data/{key}", base.tobytes())
        archive.writestr(f"{root}/version", "3\n")
        for name, content in extra:
            archive.writestr(f"{root}/{name}", content)
    return path


def write_legacy(path, tree, **options):
    """The format before 1.6; with `python2`, `_rebuild_tensor` and `views` as PyTorch 0.3 under Python 2 wrote it."""
    writer = Writer(**{"views": True} | options)
    pickled = writer.pickle(tree)
    head = [
        writer.pickle(0x1950A86A20F9469CFC6C),
        writer.pickle(1001),
        writer.pickle(
            {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
        ),
        pickled,
        writer.pickle(list(writer.storages)),
    ]
    raw = [struct.pack("<q", base.size) + base.tobytes() for base in writer.storages.values()]
    path.write_bytes(b"".join((*head, *raw)))
    return path
