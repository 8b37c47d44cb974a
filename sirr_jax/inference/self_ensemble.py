"""Self-ensemble: predictions averaged over flips and rotations (Lim et al. 2017, EDSR, section 3.4).

A network's prediction for a mirrored photo differs slightly from the one for the photo itself, and so do its errors.
The mean of the predictions, transformed back, has a smaller error than they have on average. The cost is one run of the
network per symmetry and hardly more memory.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sirr_jax.errors import UserError

_AVERAGED = ("restored", "reflection")

# Transposed, upside down, mirrored. The first 1, 2, 4 and 8 are groups: the averaged prediction for a photo that is
# transformed by one of them is the transformed prediction.
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
"""Allowed numbers of symmetries. 1: the photo; 2: and mirrored; 4: and both upside down; 8: and all of them transposed.
"""


def self_ensemble(
    predict: Callable[[np.ndarray], dict[str, np.ndarray]], batch: np.ndarray, count: int
) -> dict[str, np.ndarray]:
    """Averages the predictions of a network over symmetries of its input.

    Args:
        predict: function from images [N, H, W, 3] to layers [N, H, W, C] by name.
        batch: images [N, H, W, 3].
        count: number of symmetries, one of `COUNTS`.

    Returns:
        Outputs of `predict`, the transmission and the reflection averaged. Further maps are those of the images as they
        are, because some contain labels, which have no mean.

    Raises:
        UserError: `count` is not one of `COUNTS`.
    """
    check_count(count)
    outputs = dict(predict(batch))
    for symmetry in _SYMMETRIES[1:count]:
        transformed = predict(_transform(batch, symmetry))
        for name in set(outputs) & set(_AVERAGED):
            outputs[name] = outputs[name] + _transform_back(transformed[name], symmetry)
    return {name: x / np.float32(count) if count > 1 and name in _AVERAGED else x for name, x in outputs.items()}


def check_count(count: int) -> None:
    """Checks a number of symmetries.

    Args:
        count: number to check.

    Raises:
        UserError: `count` is not one of `COUNTS`.
    """
    if count not in COUNTS:
        raise UserError(f"self_ensemble is {count}; choose 1 (the photograph alone), 2, 4 or 8 symmetries")


def _transform(batch: np.ndarray, symmetry: tuple[bool, bool, bool]) -> np.ndarray:
    transposed, upside_down, mirrored = symmetry
    batch = _flip(batch, upside_down, mirrored)
    return np.ascontiguousarray(batch.swapaxes(1, 2) if transposed else batch)


def _transform_back(batch: np.ndarray, symmetry: tuple[bool, bool, bool]) -> np.ndarray:
    transposed, upside_down, mirrored = symmetry
    return _flip(batch.swapaxes(1, 2) if transposed else batch, upside_down, mirrored)


def _flip(batch: np.ndarray, upside_down: bool, mirrored: bool) -> np.ndarray:
    return batch[:, :: -1 if upside_down else 1, :: -1 if mirrored else 1]
