"""BT.601 YCbCr in studio swing, as MATLAB's `rgb2ycbcr` and `ycbcr2rgb` convert floating point images."""

from __future__ import annotations

import numpy as np

_FROM_RGB = np.array([[65.481, 128.553, 24.966], [-37.797, -74.203, 112.0], [112.0, -93.786, -18.214]]) / 255.0
_TO_RGB = np.linalg.inv(_FROM_RGB)
_OFFSET = np.array([16.0, 128.0, 128.0]) / 255.0


def rgb_to_ycbcr(image: np.ndarray) -> np.ndarray:
    """Converts to luma, blue difference and red difference.

    Args:
        image: RGB image, [..., 3] in [0, 1].

    Returns:
        float64 [..., 3]: Y in [16, 235] / 255, Cb and Cr in [16, 240] / 255, 128 / 255 where the image is gray.
    """
    return image @ _FROM_RGB.T + _OFFSET


def ycbcr_to_rgb(image: np.ndarray) -> np.ndarray:
    """Inverts `rgb_to_ycbcr` and clips values outside the RGB cube.

    Args:
        image: YCbCr image, [..., 3] on the scale of `rgb_to_ycbcr`.

    Returns:
        RGB image, float64 [..., 3] in [0, 1].
    """
    return np.clip((image - _OFFSET) @ _TO_RGB.T, 0.0, 1.0)
