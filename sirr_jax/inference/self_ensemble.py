"""Answers averaged over symmetries of the photograph (Lim et al. 2017, "Enhanced Deep Residual Networks", section 3.4).

A network answers for a mirrored photograph a little differently than for the photograph itself, and its errors are only
partly the same: the mean of the answers, turned back, errs less than they do on average. It costs as many times the
network's time as there are symmetries, and hardly more memory.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sirr_jax.errors import UserError

_AVERAGED = ("restored", "reflection")

# Transposed, upside down, mirrored. The first 1, 2, 4 and 8 are groups: turned by one of them, a photograph gets the
# same answer, turned.
_SYMMETRIES = (
    (False, False, False),
    (False, False, True),
    (False, True, False),
    (False, True, True),
    (True, False, False),
    (True, False, True),
    (True, True, False),
    (True, True, True),
)
COUNTS = (1, 2, 4, 8)
"""1: the photograph; 2: and mirrored; 4: and both upside down; 8: and all of these transposed."""


def self_ensemble(
    answer: Callable[[np.ndarray], dict[str, np.ndarray]], batch: np.ndarray, count: int
) -> dict[str, np.ndarray]:
    """The mean of a network's answers for several symmetries of its input.

    Args:
        answer: gives layers [N, H, W, C] for images [N, H, W, 3].
        batch: the images.
        count: how many symmetries, one of `COUNTS`.

    Returns:
        What `answer` gives, with means for the transmission and the reflection; further maps (some are labels, of
        which there is no mean) are those of the images as they are.

    Raises:
        UserError: if `count` is another number.
    """
    check_count(count)
    made = dict(answer(batch))
    for symmetry in _SYMMETRIES[1:count]:
        turned = answer(_turn(batch, symmetry))
        for name in set(made) & set(_AVERAGED):
            made[name] = made[name] + _turn_back(turned[name], symmetry)
    return {name: x / np.float32(count) if count > 1 and name in _AVERAGED else x for name, x in made.items()}


def check_count(count: int) -> None:
    """Raises UserError if `count` is none of `COUNTS`."""
    if count not in COUNTS:
        raise UserError(f"self_ensemble is {count}; choose 1 (the photograph alone), 2, 4 or 8 symmetries")


def _turn(batch: np.ndarray, symmetry: tuple[bool, bool, bool]) -> np.ndarray:
    transposed, upside_down, mirrored = symmetry
    batch = _flip(batch, upside_down, mirrored)
    return np.ascontiguousarray(batch.swapaxes(1, 2) if transposed else batch)


def _turn_back(batch: np.ndarray, symmetry: tuple[bool, bool, bool]) -> np.ndarray:
    transposed, upside_down, mirrored = symmetry
    return _flip(batch.swapaxes(1, 2) if transposed else batch, upside_down, mirrored)


def _flip(batch: np.ndarray, upside_down: bool, mirrored: bool) -> np.ndarray:
    return batch[:, :: -1 if upside_down else 1, :: -1 if mirrored else 1]
