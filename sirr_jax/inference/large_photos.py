"""Photographs larger than a network should see at once: the correction is found on a reduced copy.

Networks are trained on pictures of some hundred pixels a side. On twelve megapixels a reflection's blur is wider than
all that they see at a time, and their features would not fit into memory. So a reduced copy is restored, and what that
changed is enlarged and added to the photograph, whose own detail stays. Where a reflection is sharp at full size, a
trace of its outlines stays too.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

_UNIT = 16


def reduced_size(height: int, width: int, longest: int) -> tuple[int, int]:
    """The size at which the longer side is `longest` pixels; sizes that are not larger stay as they are.

    The other side is brought to a multiple of 16, so that photographs cut to many shapes share few compiled programs.
    What the shape changes by that (8 px at most, or up to the 16 that a strip must have) enlarging undoes.
    """
    if max(height, width) <= longest:
        return height, width
    shorter = max(round(min(height, width) * longest / max(height, width) / _UNIT), 1) * _UNIT
    shorter = min(shorter, longest, height, width)
    return (shorter, longest) if height <= width else (longest, shorter)


def resize(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Bilinear, with a low-pass filter where it reduces.

    Args:
        image: [H, W, C] float32.
        size: (height, width) of the answer.

    Returns:
        [height, width, C] float32.
    """
    height, width = size
    channels = [
        np.asarray(
            Image.fromarray(np.ascontiguousarray(image[..., c])).resize((width, height), Image.Resampling.BILINEAR)
        )
        for c in range(image.shape[-1])
    ]
    return np.stack(channels, axis=-1)
