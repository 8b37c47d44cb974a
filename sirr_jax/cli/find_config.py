"""Config files by name or path."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

from sirr_jax.errors import UserError, did_you_mean
from sirr_jax.registry import packages


def installed_configs() -> tuple[str, ...]:
    """Returns the names of the installed configs, sorted."""
    return tuple(sorted(_files()))


def find_config(config: str) -> str:
    """Finds the file of a config.

    Args:
        config: `NAME[:VARIANT]` of an installed config, or `FILE[:VARIANT]`.

    Returns:
        `FILE[:VARIANT]`.

    Raises:
        UserError: The name is not that of an installed config.
    """
    name, colon, variant = config.partition(":")
    if not re.fullmatch(r"\w+", name) or Path(name).exists():
        return config
    files = _files()
    if name not in files:
        hint = did_you_mean(name, files, f"installed: {', '.join(sorted(files))}")
        raise UserError(f"no config is called {name!r}; {hint} (a path to a .py file works too)")
    return f"{files[name]}{colon}{variant}"


def _files() -> dict[str, Path]:
    """Finds the config files of all packages with systems, by name; those of `sirr_jax` come first."""
    files: dict[str, Path] = {}
    for package in packages():
        try:
            configs = importlib.util.find_spec(f"{package}.configs")
        except ModuleNotFoundError:
            configs = None
        if configs is None:
            continue  # a package need not have configs
        for folder in configs.submodule_search_locations or ():
            for path in sorted(Path(folder).glob("*.py")):
                if path.stem != "__init__":
                    files.setdefault(path.stem, path)
    return files
