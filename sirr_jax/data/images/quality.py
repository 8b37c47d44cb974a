"""When a picture shows nothing."""

from __future__ import annotations

import numpy as np

_DARK = 8
_SHARE = 0.99
_SAMPLED_SIDE = 256


def is_nearly_black(image: np.ndarray) -> bool:
    """Whether at least 99 in 100 pixels are darker than 8 of 255 in every channel.

    Of large images only every n-th row and column is looked at, 256 or more of each.

    Args:
        image: uint8 [H, W, 3].
    """
    step = max(1, min(image.shape[:2]) // _SAMPLED_SIDE)
    dark = (image[::step, ::step] < _DARK).all(axis=-1)
    return bool(np.mean(dark) >= _SHARE)
