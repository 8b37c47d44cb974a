"""Config files by name or path."""

from __future__ import annotations

import importlib.resources
import re
from pathlib import Path

from sirr_jax.errors import UserError, did_you_mean


def installed_configs() -> tuple[str, ...]:
    """Returns the names of the installed configs, sorted."""
    return tuple(sorted(path.stem for path in _folder().glob("*.py") if path.stem != "__init__"))


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
    if name not in installed_configs():
        hint = did_you_mean(name, installed_configs(), f"installed: {', '.join(installed_configs())}")
        raise UserError(f"no config is called {name!r}; {hint} (a path to a .py file works too)")
    return f"{_folder() / name}.py{colon}{variant}"


def _folder() -> Path:
    with importlib.resources.as_file(importlib.resources.files("sirr_jax.configs")) as folder:
        return folder
