"""Errors of conversions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sirr_jax.errors import UserError


class ConversionError(UserError):
    """Error for weights that do not fit a network and for files that contain no weights.

    Attributes:
        missing: keys of the network that the weights do not have.
        unexpected: keys of the weights that the network does not have.
        misshaped: `(key, actual shape, expected shape)` of arrays of wrong shape.
    """

    def __init__(
        self,
        subject: str,
        *,
        missing: Sequence[str] = (),
        unexpected: Sequence[str] = (),
        misshaped: Sequence[tuple[str, tuple[int, ...], tuple[int, ...]]] = (),
    ) -> None:
        self.missing = tuple(missing)
        self.unexpected = tuple(unexpected)
        self.misshaped = tuple(misshaped)
        parts = []
        if missing:
            parts.append(f"{len(missing)} missing: {', '.join(missing)}")
        if unexpected:
            parts.append(f"{len(unexpected)} unexpected: {', '.join(unexpected)}")
        if misshaped:
            shapes = ", ".join(f"{key} is {_format(a)}, expected {_format(b)}{_hint(a, b)}" for key, a, b in misshaped)
            parts.append(f"{len(misshaped)} of wrong shape: {shapes}")
        super().__init__(f"the weights do not fit {subject}; {'; '.join(parts)}" if parts else subject)

    def about(self, path: str | Path) -> ConversionError:
        """Returns the error with the path in front of its message, or itself if the message contains the path."""
        if str(path) in str(self):
            return self
        error = ConversionError(f"{path}: {self}")
        error.missing, error.unexpected, error.misshaped = self.missing, self.unexpected, self.misshaped
        return error


def _format(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "a scalar"


def _hint(shape: tuple[int, ...], expected: tuple[int, ...]) -> str:
    return " (transposed?)" if len(shape) > 1 and sorted(shape) == sorted(expected) else ""
