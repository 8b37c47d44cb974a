"""Detection of images that are useless for training."""

from __future__ import annotations

import numpy as np

_DARK = 8
_DARK_FRACTION = 0.99
_SAMPLED_SIDE = 256


def is_nearly_black(image: np.ndarray) -> bool:
    """Returns whether at least 99 of 100 pixels are below 8 of 255 in every channel.

    Large images are sampled: only every n-th row and column counts, 256 or more of each.

    Args:
        image: uint8 [H, W, 3].
    """
    step = max(1, min(image.shape[:2]) // _SAMPLED_SIDE)
    dark = (image[::step, ::step] < _DARK).all(axis=-1)
    return bool(np.mean(dark) >= _DARK_FRACTION)
