"""Errors of reading that pass, such as too many open files: they say nothing about the file, and are not damage."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")

# A path that leads nowhere, or a place outside the file, as damaged headers name them.
_ABOUT_THE_FILE = frozenset(
    {
        errno.ENOENT,
        errno.EACCES,
        errno.EPERM,
        errno.EISDIR,
        errno.ENOTDIR,
        errno.ELOOP,
        errno.ENAMETOOLONG,
        errno.EINVAL,
        errno.EOVERFLOW,
        errno.EFBIG,
        errno.ESPIPE,
    }
)
# Seconds before each new try.
WAITS = (0.05, 0.2, 0.8)


def is_passing(error: BaseException) -> bool:
    """Returns whether an error comes from the machine or the network, not from the content or the path of a file.

    Errors of decoders have no error number, those of the system have one: EMFILE, ENFILE, ESTALE, EIO, ENOMEM,
    ETIMEDOUT and others pass. Lack of memory passes too.
    """
    if isinstance(error, MemoryError):
        return True
    if not isinstance(error, OSError):
        return False
    if error.errno is None:
        return "out of memory" in str(error)  # the text of Pillow's decoders
    return error.errno not in _ABOUT_THE_FILE


def passing_error_named(text: str) -> OSError | None:
    """Finds the passing error of the system that a message of another library names, such as "Too many open files".

    Args:
        text: message.

    Returns:
        The error; None if the message names none.
    """
    for number in errno.errorcode:
        reason = os.strerror(number)
        if reason in text and is_passing(error := OSError(number, reason)):
            return error
    return None


def retried(read: Callable[[], Result], *, name: str) -> Result:
    """Reads a file, and again after a short while if an error that passes occurs.

    Args:
        read: function that reads from the beginning each time.
        name: name of the file in messages.

    Returns:
        What `read` returns.

    Raises:
        OSError: The error occurs each time. It is no `UserError`: nothing that skips damaged files takes it for damage.
        MemoryError: There is not enough memory; not tried again.
    """
    for wait in WAITS:
        try:
            return read()
        except OSError as error:
            if not is_passing(error) or error.errno is None:
                raise
            time.sleep(wait)
    try:
        return read()
    except OSError as error:
        if not is_passing(error) or error.errno is None:
            raise
        text = f"{error.strerror} after {len(WAITS) + 1} tries; the file may be sound, so it is not skipped: run again"
        raise OSError(error.errno, text, name) from error
