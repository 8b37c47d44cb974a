"""The one kind of error that a user can mend."""

from __future__ import annotations


class UserError(ValueError):
    """A mistake in a file, a value or a flag.

    The message is one line that names the value, what was expected and how to mend it. The command line prints that
    line without a traceback and exits with code 2.
    """

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))
