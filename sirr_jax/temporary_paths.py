"""Files and folders that appear under their name when they are complete.

Each is written beside its destination under a name of its own, so that two programs with one destination do not write
into each other's files. Only what was made here is removed; a killed process leaves `NAME.XXXXXXXX.partial`.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from sirr_jax.errors import UserError

_LONGEST = 200  # bytes of the name that are kept: file systems allow 255 in all


@contextlib.contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Makes a folder; renames it to `path` when the body ends, and removes it if the body fails.

    Args:
        path: folder to make; it must not exist. Its parents are created.

    Yields:
        Folder to write to.

    Raises:
        UserError: `path` exists, at the start or at the end.
    """
    _refuse_existing(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = _unused(path)
    partial.mkdir()
    try:
        yield partial
        if path.exists():
            _refuse_existing(path, since=True)
        try:
            partial.rename(path)
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                _refuse_existing(path, since=True)
            raise
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


@contextlib.contextmanager
def new_file(path: Path, *, overwrite: bool) -> Iterator[Path]:
    """Names a file; renames it to `path` when the body ends, and removes it if the body fails.

    Args:
        path: file to write. Its folder is created.
        overwrite: whether to replace an existing file.

    Yields:
        File to write.

    Raises:
        UserError: `path` exists, at the start or at the end, and `overwrite` is False.
    """
    if not overwrite:
        _refuse_existing(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = _unused(path)
    try:
        yield partial
        if overwrite:
            partial.replace(path)
        else:
            _move_to_new(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def _move_to_new(partial: Path, path: Path) -> None:
    try:
        os.link(partial, path)  # fails if the name is taken, where a renaming would replace that file
    except FileExistsError:
        _refuse_existing(path, since=True)
    except OSError:  # a file system without hard links
        if path.exists():
            _refuse_existing(path, since=True)
        partial.replace(path)


def _unused(path: Path) -> Path:
    name = path.name.encode(errors="ignore")[:_LONGEST].decode(errors="ignore")
    return path.with_name(f"{name}.{secrets.token_hex(4)}.partial")


def _refuse_existing(path: Path, *, since: bool = False) -> None:
    if since:
        raise UserError(f"{path} was made by another program in the meantime and is kept; choose another name")
    if path.exists() or path.is_symlink():
        raise UserError(f"{path} exists; choose another name or remove it first")
