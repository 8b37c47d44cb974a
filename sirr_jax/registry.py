"""Registries: entries by name, found in the modules of a room, never listed by hand.

A room is a subpackage (`models`, `recipes`, ...). Other packages have rooms too: one that declares an entry point of
the group `sirr_jax` extends every room of `sirr_jax` by its room of the same name:

    [project.entry-points.sirr_jax]
    my_systems = "my_systems"
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import TypeVar

from sirr_jax.errors import UserError, did_you_mean

Entry = TypeVar("Entry")
Registered = TypeVar("Registered")

ENTRY_POINTS = "sirr_jax"
"""Group of the entry points that name packages with further rooms."""


@functools.cache
def packages() -> tuple[str, ...]:
    """Returns the packages whose rooms are searched: `sirr_jax`, then those of the entry points, sorted."""
    return ("sirr_jax", *sorted({point.value for point in entry_points(group=ENTRY_POINTS)}))


class Registry(Mapping[str, Entry]):
    """Entries by name. A module registers its entries when it is imported; the registry imports the modules.

    As a mapping it has all entries, sorted by name: its first use imports every module of the room. `find` imports the
    module that is named as the entry (the part before "/"), and all modules only if that one does not register it.

    Attributes:
        kind: name of the kind of entry in messages: "network".
    """

    def __init__(self, kind: str, room: str) -> None:
        """Makes an empty registry.

        Args:
            kind: name of the kind of entry in messages: "network".
            room: subpackage that registers them, relative to the package: "models".
        """
        self.kind = kind
        self._room = room
        self._entries: dict[str, Entry] = {}
        self._complete = False

    def add(self, name: str, entry: Entry) -> Entry:
        """Registers an entry.

        Args:
            name: name of the entry.
            entry: entry.

        Returns:
            The entry.

        Raises:
            ValueError: Another entry has this name.
        """
        if name in self._entries:
            raise ValueError(f"there is another {self.kind} {name!r}; rename one of them")
        self._entries[name] = entry
        return entry

    def register(self, name: str) -> Callable[[Registered], Registered]:
        """Returns a decorator that registers a function or a class as it is.

        Args:
            name: name of the entry.
        """

        def decorate(entry: Registered) -> Registered:
            self.add(name, entry)  # type: ignore[arg-type]  # the caller's Registered is this registry's Entry
            return entry

        return decorate

    def names(self) -> tuple[str, ...]:
        """Returns the names of all entries, sorted. Imports every module of the room."""
        if not self._complete:
            for package in packages():
                _import_all(*f"{package}.{self._room}".rsplit(".", 1))
            self._complete = True
        return tuple(sorted(self._entries))

    def find(self, name: str) -> Entry:
        """Returns an entry, for a name that a user gave.

        Args:
            name: name of the entry.

        Raises:
            UserError: There is no entry of that name.
        """
        if name not in self._entries:
            self._import_module(str(name).split("/")[0])
        if name in self._entries:
            return self._entries[name]
        known = self.names()
        if name in self._entries:
            return self._entries[name]
        hint = did_you_mean(name, known, f"known names: {', '.join(known)}")
        raise UserError(f"no {self.kind} is called {name!r}; {hint}")

    def below(self, stem: str) -> dict[str, Entry]:
        """Returns the entries `STEM/...`, by name. Imports the module of that name alone.

        Args:
            stem: first part of the names.
        """
        self._import_module(stem)
        return {name: entry for name, entry in sorted(self._entries.items()) if name.startswith(f"{stem}/")}

    def _import_module(self, stem: str) -> None:
        if not self._complete and stem.isidentifier():
            for package in packages():
                _import_all(f"{package}.{self._room}", stem)

    def __getitem__(self, name: str) -> Entry:
        if name not in self._entries:
            self.names()
        return self._entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __len__(self) -> int:
        return len(self.names())


def find_module(room: str, name: str) -> str | None:
    """Finds a module of a room in any of `packages`.

    Args:
        room: subpackage, relative to the package: "weights.key_maps".
        name: name of the module in the room.

    Returns:
        Absolute name of the first such module; None if there is none.
    """
    return next((f"{package}.{room}.{name}" for package in packages() if _exists(f"{package}.{room}", name)), None)


def _exists(package: str, name: str) -> bool:
    """Whether a package has a module; False also where the package itself does not exist."""
    parent, _, last = package.rpartition(".")
    # `find_spec` imports the parents of a module and raises an error where there is none.
    if parent and not _exists(parent, last):
        return False
    return importlib.util.find_spec(f"{package}.{name}") is not None


def _import_all(package: str, name: str) -> None:
    """Imports a module, if it exists, and the modules below it."""
    if not _exists(package, name):
        return
    module = importlib.import_module(f"{package}.{name}")
    folders = list(getattr(module, "__path__", ()))
    below = {found.name for found in pkgutil.iter_modules(folders)}
    # Folders without `__init__.py` are packages too, which `pkgutil` leaves out.
    below |= {path.parent.name for folder in folders for path in Path(folder).glob("*/*.py")}
    for found in sorted(name for name in below if name.isidentifier()):
        _import_all(module.__name__, found)
