"""The folder of a run."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path

import jax

from sirr_jax.errors import UserError

_LOCK = ".lock"


@contextlib.contextmanager
def claimed(workdir: Path) -> Iterator[None]:
    """Makes the folder of a run and keeps other runs out of it.

    The lock belongs to process 0 of the run and ends with it, however it ends. Where the file system has no locks,
    the folder is used without one.

    Args:
        workdir: folder; created if missing.

    Raises:
        UserError: The folder cannot be written to, or another run is using it.
    """
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        probe = workdir / f".writable-{jax.process_index()}"  # the processes of a run share the folder
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UserError(f"cannot write to workdir {workdir} ({error.strerror}); choose another --workdir") from error
    with _lock(workdir) if jax.process_index() == 0 else contextlib.nullcontext():
        yield


@contextlib.contextmanager
def _lock(workdir: Path) -> Iterator[None]:
    try:
        import fcntl
    except ImportError:  # not on Windows
        yield
        return
    with (workdir / _LOCK).open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                raise UserError(
                    f"another run is writing to workdir {workdir}; wait until it ends, or choose another --workdir"
                ) from error
        yield
