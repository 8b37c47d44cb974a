"""Finds prepared TFDS sets: by folder, or as `tfds:NAME`, `tfds:NAME/CONFIG`, `tfds:NAME/CONFIG:VERSION`."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

from sirr_jax.errors import UserError

PREFIX = "tfds:"
"""Start of the name of a TFDS set in place of a folder."""

INFO = "dataset_info.json"
"""The file that every prepared TFDS set has; it is written last."""

_REFERENCE = re.compile(r"tfds:(?P<name>\w+)(/(?P<config>[\w.\-]+))?(:(?P<version>\d+\.\d+\.\d+))?")
_VERSION = re.compile(r"\d+\.\d+\.\d+")
_LISTED = 8


def is_reference(where: str | Path) -> bool:
    """Returns whether a place is the name of a TFDS set, `tfds:...`, instead of a path."""
    return str(where).startswith(PREFIX)


def data_folder(data_dir: str | Path | None = None) -> Path:
    """Returns the folder of prepared TFDS sets.

    Args:
        data_dir: the folder; None or empty for `$TFDS_DATA_DIR`, or `~/tensorflow_datasets` if that is not set.
    """
    return Path(data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets").expanduser()


def resolve(where: str | Path, data_dir: str | Path | None = None) -> str | Path:
    """Replaces the name of a TFDS set by its folder; other places are returned as they are.

    Args:
        where: `tfds:NAME[/CONFIG][:VERSION]`, or a path; either may end in `#PART`.
        data_dir: folder of prepared TFDS sets, see `data_folder`.

    Returns:
        The place, with its `#PART`. Without a version it is the newest prepared one; without a config, the only one
        or the default.

    Raises:
        UserError: The name is malformed, or no such set is prepared.
    """
    if not is_reference(where):
        return where
    reference, mark, part = str(where).partition("#")
    match = _parse(reference)
    home = data_folder(data_dir)
    folder = _set_folder(reference, home, home / match["name"], match["config"])
    versions = prepared_versions(folder)
    if match["version"]:
        versions = [path for path in versions if path.name == match["version"]]
    if not versions:
        known = ", ".join(path.name for path in prepared_versions(folder)) or "none"
        raise UserError(f"{where}: {folder} has the versions {known}; {_how(match['name'], home)}")
    return f"{versions[-1]}{mark}{part}"


def new_folder(reference: str, data_dir: str | Path | None = None) -> Path:
    """Returns the folder in which to make a TFDS set.

    Args:
        reference: `tfds:NAME`, `tfds:NAME:VERSION` or `tfds:NAME/CONFIG:VERSION`; the version is 1.0.0 by default.
        data_dir: folder of prepared TFDS sets, see `data_folder`.

    Raises:
        UserError: The name is malformed.
    """
    match = _parse(reference)
    home = data_folder(data_dir) / match["name"]
    return (home / match["config"] if match["config"] else home) / (match["version"] or "1.0.0")


def prepared_versions(folder: Path) -> list[Path]:
    """Returns the prepared versions of a set or config, oldest first."""
    try:
        versions = [path for path in folder.iterdir() if _VERSION.fullmatch(path.name) and (path / INFO).is_file()]
    except OSError:  # no folder, or an unreadable one: the readers of folders say so
        return []
    return sorted(versions, key=lambda path: [int(number) for number in path.name.split(".")])


def prepared_folder(root: Path) -> Path | None:
    """Finds the prepared TFDS set of a folder.

    Args:
        root: the folder of a prepared version, of a config or of a whole data set of TFDS.

    Returns:
        The folder of the newest version (of the default config); None if there is none.
    """
    if (root / INFO).is_file():
        return root
    versions = prepared_versions(root)
    # TFDS writes `.config` for sets with configs; searching all subfolders of any folder would be slow.
    if not versions and (root / ".config").is_dir():
        config = _default_config(root, _configs(root))
        versions = prepared_versions(config) if config else []
    return versions[-1] if versions else None


def _parse(reference: str) -> re.Match[str]:
    match = _REFERENCE.fullmatch(reference)
    if match is None:
        raise UserError(
            f"{reference}: expected tfds:NAME, tfds:NAME/CONFIG or tfds:NAME/CONFIG:1.0.0, such as tfds:sirr_real20"
        )
    return match


def _set_folder(reference: str, home: Path, folder: Path, config: str | None) -> Path:
    if config:
        folder = folder / config
    if prepared_versions(folder):
        return folder
    configs = [] if config else _configs(folder)
    if default := _default_config(folder, configs):
        return default
    name = reference.removeprefix(PREFIX).partition(":")[0]
    if configs:
        listed = ", ".join(path.name for path in configs[:_LISTED])
        raise UserError(f"{reference} has the configs {listed}; select one: {PREFIX}{name}/{configs[0].name}")
    raise UserError(f"{reference}: no such set is prepared in {home}; {_how(name.partition('/')[0], home)}")


def _configs(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.is_dir() and prepared_versions(path))


def _default_config(folder: Path, configs: list[Path]) -> Path | None:
    """Returns the only config, or the one that TFDS names as the default."""
    if len(configs) == 1:
        return configs[0]
    try:
        default = json.loads((folder / ".config" / "metadata.json").read_text(encoding="utf-8"))["default_config_name"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return next((path for path in configs if path.name == default), None)


def _how(name: str, home: Path) -> str:
    prepared = sorted(path.name for path in home.iterdir() if path.is_dir()) if home.is_dir() else []
    names = [other for other in prepared if prepared_versions(home / other) or _configs(home / other)]
    known = f"; prepared there: {', '.join(names[:_LISTED])}" if names else ""
    make = (
        f"make it with sirr_jax.data.prepare.tfds.builder({name!r}, manual_dir=..., prepare=True)"
        if name.startswith("sirr_")
        else f"make it with `sirr data pack SET {home / name / '1.0.0'}` or TFDS (file_format array_record)"
    )
    return f"{make}, or set TFDS_DATA_DIR or config.data.tfds_data_dir{known}"
