"""Quantization of values and colors: types 7 and 22 of the SR-Net specification, section 5.1."""

from __future__ import annotations

import numpy as np
from PIL import Image

from sirr_jax.errors import UserError
from sirr_jax.synthesis.degradations.base import at_level
from sirr_jax.synthesis.degradations.registry import register_kind

_THRESHOLDS = (9, 7, 5, 3)
_COLORS = (64, 32, 16, 8, 4)


@register_kind("quantization_noise", number=7)
def quantization_noise(image: np.ndarray, level: int, generator: np.random.Generator) -> np.ndarray:  # noqa: ARG001
    """Quantizes to 10, 8, 6 or 4 values, the same for all channels, by Otsu's thresholds t1 < t2 < ....

    A sample becomes 0 up to t1, t_i above t_(i-1) and up to t_i, and 255 above the last threshold. The thresholds are
    optimal, whereas MATLAB's `multithresh` searches for good ones. An image with fewer values is not changed.

    Args:
        image: RGB image, uint8 [H, W, 3].
        level: severity, 1 to 4.
        generator: not used.

    Returns:
        uint8 [H, W, 3].

    Raises:
        UserError: The level does not exist.
    """
    count = at_level("quantization_noise", _THRESHOLDS, level)
    histogram = np.bincount(image.reshape(-1), minlength=256)
    if np.count_nonzero(histogram) <= count:
        return image.copy()
    thresholds = multi_otsu(histogram, count)
    values = np.concatenate([[0], thresholds[1:], [255]]).astype(np.uint8)
    table = values[np.searchsorted(thresholds, np.arange(256))]
    return table[image]


def multi_otsu(histogram: np.ndarray, count: int) -> np.ndarray:
    """Finds the thresholds that maximize the variance between classes (Otsu, 1979).

    Exact, by dynamic programming over the values that occur: up to constants, the variance between classes is the sum
    over the classes of (sum of the values)^2 / (number of values).

    Args:
        histogram: [n] numbers of occurrences of the values 0 to n - 1.
        count: number of thresholds, at least 1.

    Returns:
        int64 [count], ascending: the largest value of each class except the last.

    Raises:
        UserError: Fewer values occur than classes are needed.
    """
    values = np.flatnonzero(histogram)
    number = values.size
    if not 1 <= count < number:
        raise UserError(f"{count} thresholds for {number} different values: use 1 to {number - 1}")
    weights = np.concatenate([[0], np.cumsum(histogram[values])]).astype(np.float64)
    sums = np.concatenate([[0], np.cumsum(histogram[values] * values)]).astype(np.float64)
    first, end = np.arange(number)[:, None], np.arange(1, number + 1)[None, :]
    with np.errstate(divide="ignore", invalid="ignore"):
        # term[i, j]: summand of the class with values i to j.
        term = np.where(first < end, (sums[end] - sums[first]) ** 2 / (weights[end] - weights[first]), -np.inf)
    best = term[0]
    begins: list[np.ndarray] = []
    for _ in range(count):
        # The class that ends at j begins at i, after the best partition of the values before i.
        before = np.concatenate([[-np.inf], best[:-1]])
        total = before[:, None] + term
        begins.append(np.argmax(total, axis=0))
        best = np.max(total, axis=0)
    thresholds = np.empty(count, np.int64)
    last = number - 1
    for place in reversed(range(count)):
        last = begins[place][last] - 1
        thresholds[place] = values[last]
    return thresholds


@register_kind("color_quantization", number=22, levels=5)
def color_quantization(image: np.ndarray, level: int, generator: np.random.Generator) -> np.ndarray:  # noqa: ARG001
    """Quantizes to 64, 32, 16, 8 or 4 colors with dithering (Floyd and Steinberg, 1976).

    The palette is Pillow's median cut, refined by k-means to a minimum of the variance. MATLAB's `rgb2ind` minimizes
    the variance by cutting boxes; the palettes are similar, not equal.

    Args:
        image: RGB image, uint8 [H, W, 3].
        level: severity, 1 to 5.
        generator: not used.

    Returns:
        uint8 [H, W, 3].

    Raises:
        UserError: The level does not exist.
    """
    colors = at_level("color_quantization", _COLORS, level)
    picture = Image.fromarray(np.ascontiguousarray(image))
    palette = picture.quantize(colors, method=Image.Quantize.MEDIANCUT, kmeans=1)
    return np.array(picture.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG).convert("RGB"))
