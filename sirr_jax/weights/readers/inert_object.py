"""Stand-ins for objects of foreign classes in a pickle: they remember the name of their class and nothing else."""

from __future__ import annotations

import sys
from typing import Any, Self

# Modules of which no name has a place in a weight file; what asks for them wants to run something.
_REFUSED_MODULES = frozenset(
    [
        "_pickle",
        "bdb",
        "code",
        "codeop",
        "cProfile",
        "ctypes",
        "http",
        "imp",
        "importlib",
        "io",
        "marshal",
        "multiprocessing",
        "nt",
        "os",
        "pdb",
        "pickle",
        "pip",
        "posix",
        "profile",
        "pty",
        "runpy",
        "shelve",
        "shutil",
        "signal",
        "site",
        "smtplib",
        "socket",
        "ssl",
        "subprocess",
        "sys",
        "tempfile",
        "threading",
        "timeit",
        "torch.hub",
        "urllib",
        "webbrowser",
    ]
)
# Classes of the standard library whose names are not capitalized, and the functions that rebuild objects.
_BUILTIN_TYPES = frozenset(
    [
        "bool",
        "bytearray",
        "bytes",
        "complex",
        "dict",
        "float",
        "frozenset",
        "int",
        "list",
        "object",
        "range",
        "set",
        "slice",
        "str",
        "tuple",
        "type",
    ]
)
_REBUILDERS = frozenset(
    {
        ("copy_reg", "_reconstructor"),
        ("copyreg", "_reconstructor"),
        ("collections", "deque"),
        ("datetime", "date"),
        ("datetime", "datetime"),
        ("datetime", "time"),
        ("datetime", "timedelta"),
        ("datetime", "timezone"),
        ("functools", "partial"),
        ("numpy", "ndarray"),
        ("numpy.core.multiarray", "_reconstruct"),
        ("numpy._core.multiarray", "_reconstruct"),
    }
)
_ARRAY_PACKAGES = ("torch", "numpy")


class InertObject:
    """Stands in for a class that a pickle names, and for its instances. Ignores all that the pickle does with it.

    Attributes:
        class_name: `module.Class`, from the file.
    """

    __slots__ = ("class_name",)

    def __init__(self, class_name: str) -> None:
        self.class_name = class_name

    def __call__(self, *_: Any) -> Self:
        """Returns the stand-in for an instance or a result, which is the same."""
        return self

    def __setstate__(self, state: Any) -> None:
        """Ignores the state of an instance."""

    def __setitem__(self, key: Any, value: Any) -> None:
        """Ignores an item of a subclass of dict."""

    def append(self, item: Any) -> None:
        """Ignores an item of a subclass of list."""

    def extend(self, items: Any) -> None:
        """Ignores the items of a subclass of list."""

    def add(self, item: Any) -> None:
        """Ignores an item of a subclass of set."""


def may_be_inert(module: str, name: str) -> bool:
    """Tells names of classes, which may be ignored, from names of functions that a weight file has no use for.

    Neither is imported or run. The distinction is for the reader: a file that asks for `os.system` is not one to trust,
    and one that asks torch or NumPy for an unknown function would lose an array.

    Args:
        module: module that a pickle names.
        name: name in the module.
    """
    root, last = module.partition(".")[0], name.rpartition(".")[2]
    if root in _REFUSED_MODULES or module in _REFUSED_MODULES:
        return False
    if (module, name) in _REBUILDERS:
        return True
    if root in ("builtins", "__builtin__"):
        return name in _BUILTIN_TYPES
    is_class = last[:1].isupper() or (last.startswith("_") and last[1:2].isupper())
    return is_class or (root not in sys.stdlib_module_names and root not in _ARRAY_PACKAGES)
