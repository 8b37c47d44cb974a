"""What a conversion can complain of."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sirr_jax.errors import UserError


class ConversionError(UserError):
    """Weights that do not fit a network, or a file that holds none.

    Attributes:
        missing: keys that the network needs and the weights lack.
        unexpected: keys that the network does not know.
        misshaped: `(key, shape found, shape expected)`.
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
            found = ", ".join(f"{key} is {_shape(a)}, expected {_shape(b)}{_hint(a, b)}" for key, a, b in misshaped)
            parts.append(f"{len(misshaped)} mis-shaped: {found}")
        listing = f"the weights do not fit {subject}; {'; '.join(parts)}" if parts else subject
        super().__init__(listing)

    def about(self, path: str | Path) -> ConversionError:
        """The same complaint with the file's name before it, unless it is there already."""
        if str(path) in str(self):
            return self
        renamed = ConversionError(f"{path}: {self}")
        renamed.missing, renamed.unexpected, renamed.misshaped = self.missing, self.unexpected, self.misshaped
        return renamed


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "a scalar"


def _hint(found: tuple[int, ...], expected: tuple[int, ...]) -> str:
    return " (transposed?)" if len(found) > 1 and sorted(found) == sorted(expected) else ""
