"""The exception for mistakes that a user can correct."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """A mistake in a file, a value or a flag.

    The message is one line that names the value, what was expected and how to correct it. The command line prints that
    line without a traceback and exits with code 2.
    """

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


def did_you_mean(name: object, known: Iterable[str], otherwise: str) -> str:
    """Returns the end of a message about an unknown name: `did you mean 'NAME'?`, or `otherwise`.

    Args:
        name: unknown name.
        known: names that exist.
        otherwise: text for the case that no known name is similar.
    """
    close = difflib.get_close_matches(str(name), list(known), n=1)
    return f"did you mean {close[0]!r}?" if close else otherwise
